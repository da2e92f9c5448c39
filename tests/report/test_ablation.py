"""The report of an ablation: files, words, and the page in a real browser. Costs are real, errors are made up."""

from __future__ import annotations

import base64
import csv
import gzip
import html
import io
import json
import re
import shutil
import warnings
from dataclasses import replace

import pandas as pd
import pytest
from support.ablations import HOSTILE, LOST, SAME, STUDIES, TABLE_7, ablation, hostile
from support.studies import synthetic

from skexplore.analysis.ablation import COLUMNS, effects
from skexplore.errors import UserError
from skexplore.report.ablation import _course_words, _figures, _shown, ablation_picture, trainings_table
from skexplore.report.figures import files as figure_files
from skexplore.report.search import write_report

NAMES = ["effects.csv", "trainings.csv", "course.csv", "findings.json", "report.md", "index.html"]


def rows(path):
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode(), newline="")))


def words(path):
    """Return a text file without Markdown's and HTML's escapes."""
    return html.unescape(path.read_text(encoding="utf-8")).replace("\\", "")


def unpacked(page, name="figures"):
    data = re.search(f'id="packed-{name}">([A-Za-z0-9+/=]*)<', page)[1]
    found = json.loads(gzip.decompress(base64.b64decode(data)).decode())
    return {key: json.loads(figure) for key, figure in found.items()}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Write the report of one of ``STUDIES`` and return its folder, once for all tests."""
    found = {}

    def of(name):
        if name not in found:
            found[name] = tmp_path_factory.mktemp("report")
            assert [path.name for path in write_report(STUDIES[name], found[name])] == NAMES
        return found[name]

    return of


def test_tables_have_their_columns_and_numbers_that_are_not_rounded(report):
    study, out = STUDIES["diverged"], report("diverged")
    for name in NAMES[:3]:
        assert b"\r" not in (out / name).read_bytes()
    effects_csv, trainings = rows(out / "effects.csv"), rows(out / "trainings.csv")
    assert tuple(effects_csv[0]) == COLUMNS
    for row, made in zip(trainings, study.records, strict=True):
        assert (row["seed"], row["status"], row["key"]) == (str(made.seed), made.status, made.key)
        assert row["val_error"] == ("" if made.val_error is None else repr(made.val_error))
        assert (row["reason"], row["epochs"], row["images"]) == (
            made.reason,
            str(made.epochs),
            str(made.images),
        )
    # by hand: seed 1 is left out for all, because one variant has no result under it
    for row in effects_csv:
        own = [
            float(t["val_error"])
            for t in trainings
            if t["variant"] == (row["same_as"] or row["variant"]) and t["seed"] != "1"
        ]
        assert float(row["mean"]) == pytest.approx(sum(own) / 2)
    assert [row["epoch"] for row in rows(out / "course.csv")] == list("123456")


@pytest.mark.parametrize("name", ["diverged", "one seed", "nothing yet"])
def test_the_same_study_gives_the_same_bytes(report, name, tmp_path):
    write_report(STUDIES[name], tmp_path)
    for file in NAMES:
        assert (tmp_path / file).read_bytes() == (report(name) / file).read_bytes(), file


@pytest.mark.parametrize("name", STUDIES)
def test_every_state_is_reported_and_all_that_is_said_stands_in_both_texts(report, name):
    found = json.loads((report(name) / "findings.json").read_text())
    for file in ("report.md", "index.html"):
        text = words(report(name) / file)
        assert text.count("multiply-adds of convolutions and linear layers") == 1
        for sentence in found["statements"]:
            assert sentence in text
        for variant in found["variants"]:
            assert variant["variant"] in text
    page = (report(name) / "index.html").read_text()
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//|@import|url\(", page)
    assert ("No training is complete yet" in page) == (name == "nothing yet")
    assert ("means" in unpacked(page)) == (name != "nothing yet")
    assert ("curves" in unpacked(page)) == (len(found["course"]) > 1)


def test_the_sections_stand_in_their_order(report):
    page = (report("table") / "index.html").read_text()
    assert re.findall(r'<section id="(\w+)">', page) == [
        "said",
        "effects",
        "variants",
        "signal",
        "course",
        "method",
        "origin",
    ]
    assert re.findall(r'<div class="plot" id="(\w+)"', page) == [
        "means",
        "differences",
        "cost",
        "order",
        "curves",
    ]


def test_a_verdict_is_filled_tinted_and_said_alike(report):
    out = report("table")
    told = {each.name: each.distinguishable for each in effects(STUDIES["table"]).summary.differences}
    assert set(told.values()) == {True, False}
    page = (out / "index.html").read_text()
    traces = {t["name"]: t for t in unpacked(page)["differences"]["data"] if "name" in t}
    for words_of, expected in (("distinguishable", True), ("not distinguishable", False)):
        trace = traces[words_of]
        assert (
            sum(value is expected for value in told.values())
            == len(trace["x"])
            == len(trace["error_x"]["array"])
        )
        assert (trace["marker"].get("symbol") == "circle-open") is not expected
    clear = [name for name, value in told.items() if value] + [SAME[0]]  # a twin of one that is told apart
    tinted = re.findall(r'<tr class="onfront"><td>([^<]*)<', page)
    assert sorted(tinted) == sorted(clear)
    found = {row["variant"]: row for row in json.loads((out / "findings.json").read_text())["variants"]}
    need = found["K3+K5+K7 sum"]["n_needed"]
    for file in ("index.html", "report.md"):
        assert f"not distinguishable at n = 3; a difference of this size would take {need} seeds" in words(
            out / file
        )
    assert page.count("lower than the baseline") + page.count("higher than the baseline") == len(clear) - 1


def test_printed_errors_stay_off_the_axes_of_ours(report):
    out = report("table")
    figures = unpacked((out / "index.html").read_text())
    printed = {
        row["printed_error_pct"] for row in json.loads((out / "findings.json").read_text())["variants"]
    }
    for name, figure in figures.items():
        texts = json.dumps(figure)
        numbers = [x for trace in figure["data"] for x in (*trace["x"], *trace["y"]) if isinstance(x, float)]
        assert not printed & set(numbers)
        assert any(f"{each:.2f} %" in texts for each in printed) == (name == "order")
    order = figures["order"]
    ranks = [[*trace["y"]] for trace in order["data"] if trace["mode"] == "markers"]
    assert all(sorted(each) == list(range(1, 9)) for each in ranks)
    assert "ImageNet,<br>other protocol" in order["layout"]["xaxis"]["ticktext"][1]
    assert words(out / "index.html").count('<td class="n other">20.79</td>') == 1


def test_variants_stand_in_the_paper_s_order_and_else_as_designed(report):
    turned = ablation(LOST, *TABLE_7[::-1], table="7", seeds=1, baseline="K3")
    assert [row[0] for row in TABLE_7] + [LOST[0]] == names_shown(turned)
    design = replace(turned.spec.ablation, kinds=("one_at_a_time",))
    assert names_shown(replace(turned, spec=replace(turned.spec, ablation=design))) == [
        variant.name for variant in design.variants
    ]


def names_shown(study):
    figure = json.loads(_figures(_shown(study))["means"])
    return figure["layout"]["yaxis"]["ticktext"]


def test_one_seed_has_no_interval_anywhere(report):
    out = report("one seed")
    for file in ("report.md", "index.html"):
        text = words(out / file)
        assert "one seed: numbers, no claims" in text.lower()
        plain = re.sub(r"<style>.*?</style>|<script.*?</script>", "", text, flags=re.S)
        for word in (
            "95 %",
            "Dunnett",
            "Behrens and Fisher",
            "credible",
            "distinguishable",
            "lower than",
            "higher than",
        ):
            assert word not in plain, word
    page = (out / "index.html").read_text()
    assert all("error_x" not in trace for figure in unpacked(page).values() for trace in figure["data"])
    for row in rows(out / "effects.csv"):
        assert not any(row[name] for name in ("sd", "low", "high", "difference_low", "difference_high", "p"))


def test_what_diverged_stays_in_every_table_with_its_reason(report):
    out = report("diverged")
    for file in ("report.md", "index.html"):
        text = words(out / file)
        assert "No result of K1+K3 under seed 1: diverged, loss is not finite." in text
        assert "(2 complete, 1 diverged)" in text
    lost = [row for row in rows(out / "trainings.csv") if row["status"] == "diverged"]
    assert [(row["variant"], row["seed"], row["val_error"]) for row in lost] == [("K1+K3", "1", "")]
    traces = {t.get("name"): t for t in unpacked((out / "index.html").read_text())["means"]["data"]}
    assert traces["no result"]["xaxis"] == "x2"  # on an axis that claims no value
    assert len(traces["in no mean"]["x"]) == len(TABLE_7)  # what the others reached under that seed
    assert len(traces["trainings"]["x"]) == 2 * (len(TABLE_7) + 1)


def test_variants_of_one_network_are_named_so_and_counted_once(report):
    out = report("table")
    assert SAME[0] in words(out / "index.html")
    for file in ("report.md", "index.html"):
        assert "the same network here as K3+K5 sum" in words(out / file)
    assert SAME[0] not in json.dumps(unpacked((out / "index.html").read_text()))
    assert {row["variant"] for row in rows(out / "trainings.csv")} == {row[0] for row in TABLE_7}
    assert "24 of 24 trainings complete" in words(out / "report.md")
    # a baseline that is another's twin is drawn at that one's place
    figure = unpacked((report("baseline is a twin") / "index.html").read_text())["differences"]
    diamond = next(trace for trace in figure["data"] if trace.get("marker", {}).get("symbol") == "diamond")
    assert figure["layout"]["yaxis"]["ticktext"][diamond["y"][0]] == "K3+K5 sum"
    table = (report("baseline is a twin") / "report.md").read_text()
    (own,) = (line for line in table.splitlines() if line.startswith("| K3+K5 sum | `"))
    assert "| baseline |" in own


def test_the_course_says_from_when_on_the_order_holds(report):
    course = pd.DataFrame(
        {
            "epoch": [1, 2, 3, 4],
            "images": [10, 20, 30, 40],
            "swapped": [2, 1, 0, 0],
            "best": ["b", "a", "a", "a"],
        }
    )
    assert _course_words(course) == (
        "By the means, without a claim: the variant of lowest validation error at the end, a, is the lowest "
        "from epoch 2 of 4 on (20 images); the order of all "
        "variants is that of the end from epoch 3 of 4 on (30 images)."
    )
    late = course.assign(swapped=[0, 0, 1, 0], best=["a", "a", "b", "a"])
    assert _course_words(late).count("for good only after the last epoch") == 2
    assert _course_words(course[:1]) == ""
    # the curves end at the means
    figures = unpacked((report("diverged") / "index.html").read_text())
    ends = {trace["name"].removesuffix(", baseline"): trace["y"][-1] for trace in figures["curves"]["data"]}
    for row in rows(report("diverged") / "effects.csv"):
        if not row["same_as"]:
            assert ends[row["variant"]] == pytest.approx(100 * float(row["mean"]))


def test_hostile_text_stays_text(tmp_path):
    study = hostile()
    write_report(study, tmp_path)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script" not in json.dumps(unpacked(page))  # plotly reads some tags
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    before, fenced = text.split("````text\n")
    assert "<script" not in before
    assert "[x](" not in before
    assert fenced.endswith("# no\n````\n")
    table = [line for line in before.splitlines() if line.startswith("| ") and "k3d2" in line]
    cells = re.sub(r"\\.", "", before.split("## Variants")[1].split("\n\n")[1])
    assert len({line.count("|") for line in cells.splitlines()}) == 1  # no name breaks the table
    assert table
    assert [row["variant"] for row in rows(tmp_path / "effects.csv")] == [HOSTILE[:80], "K5", "K3"]


def test_an_ablation_is_reported_by_itself(tmp_path):
    study = STUDIES["one seed"]
    for one, other in ((study, synthetic()), (synthetic(), study)):
        with pytest.raises(UserError, match=r"^\S+: an ablation is reported by itself"):
            write_report(one, tmp_path / "none", [other])
    assert not (tmp_path / "none").exists()


def test_an_ablation_stands_beside_its_blocks_trained_longer(tmp_path):
    study = STUDIES["table"]
    records = tuple(replace(each, key=f"long-{each.key}") for each in study.records)
    long = replace(study, spec=replace(study.spec, name="long"), records=records)
    write_report(study, tmp_path, [long])
    for name in ("index.html", "report.md"):
        text = words(tmp_path / name)
        assert "validity per minute" in text
        assert "two long ones have" in text
    found = json.loads((tmp_path / "findings.json").read_text())["signal"]
    assert (found["against"], found["whole"]["blocks"], found["good"]["blocks"]) == ("long", 8, 4)
    write_report(study, tmp_path / "alone")
    assert json.loads((tmp_path / "alone/findings.json").read_text())["signal"]["whole"] is None
    assert "skexplore report STUDY LONG" in words(tmp_path / "alone/index.html")
    with pytest.raises(UserError, match="it has 2 of the 8 blocks"):
        write_report(study, tmp_path / "none", [STUDIES["two seeds, one epoch"]])
    write_report(STUDIES["two seeds, one epoch"], tmp_path / "few")
    assert "signal" not in json.loads((tmp_path / "few/findings.json").read_text())
    assert 'id="signal"' not in (tmp_path / "few/index.html").read_text()


def test_many_seeds_leave_the_single_trainings_to_the_table(tmp_path):
    study = ablation(*TABLE_7[:2], seeds=14, epochs=1)
    write_report(study, tmp_path)
    page = words(tmp_path / "index.html")
    assert "seeds 0 to 13" in page
    assert "seed 13</th>" not in page
    assert len(trainings_table(study)) == 28


def test_a_confirmation_says_that_the_test_set_is_read(tmp_path):
    study = STUDIES["two seeds, one epoch"]
    design = replace(study.spec.ablation, kinds=("confirm",), test=True)
    write_report(replace(study, spec=replace(study.spec, ablation=design)), tmp_path)
    assert "The test set is read once for each training" in words(tmp_path / "report.md")


def test_picture_without_its_extra_names_it(monkeypatch):
    monkeypatch.setattr(figure_files.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"skexplore\[picture\]"):
        ablation_picture(STUDIES["table"], "svg")


# -- in a real browser

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@pytest.mark.page
@pytest.mark.slow
def test_the_picture_shows_the_means():
    pytest.importorskip("kaleido", reason="the extra skexplore[picture] is not installed")
    if not any(map(shutil.which, BROWSERS)):
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # kaleido leaves its pipes to the collector
        drawn = ablation_picture(STUDIES["table"], "svg")
    assert drawn.startswith(b"<svg")
    assert b"K3+K5+K7 SK" in drawn


@pytest.mark.page
@pytest.mark.slow
def test_the_page_is_drawn_without_a_trouble_on_wide_and_narrow_screens(tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is installed")
    troubles = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        for study, width, scheme in (
            (STUDIES["diverged"], 1280, "dark"),
            (hostile(), 390, "light"),
        ):
            page = opened(browser, study, tmp_path, width, scheme, troubles)
            plots = page.eval_on_selector_all(".plot[data-figure]", "all => all.map(p => p.id)")
            assert plots == ["means", "differences", "cost", *(["order"] if width == 1280 else []), "curves"]
            for plot in plots:
                assert page.locator(f"#{plot} .scatterlayer .trace").count() >= 2, plot
            assert page.locator("h1").text_content() == study.spec.name
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.locator("h1 *, main img, td script, td b, li b, #origin pre *").count() == 0
            follow_the_scheme(page, scheme)
            page.close()
        browser.close()
    assert troubles == []


def opened(browser, study, folder, width, scheme, troubles):
    write_report(study, folder)
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page.on("console", lambda m: troubles.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("dialog", lambda dialog: (troubles.append(dialog.message), dialog.dismiss()))
    page.on(
        "request",
        lambda r: None if r.url.startswith(("file://", "data:", "blob:")) else troubles.append(r.url),
    )
    page.goto((folder / "index.html").as_uri())
    page.wait_for_selector("html[data-ready]")
    return page


def follow_the_scheme(page, scheme):
    """Change between light and dark, and see that the plots' ink follows."""
    inks = {"light": "rgb(28, 33, 38)", "dark": "rgb(230, 233, 236)"}
    ink = "getComputedStyle(document.querySelector('#means .xtick text')).fill"
    other = {"light": "dark", "dark": "light"}[scheme]
    for now in (scheme, other):
        page.emulate_media(color_scheme=now)
        for _ in range(50):  # the page's own policy forbids the eval that wait_for_function polls with
            if page.evaluate(ink) == inks[now]:
                break
            page.wait_for_timeout(100)
        assert page.evaluate(ink) == inks[now]
