"""``skexplore compare`` and ``search --repeats`` as a user types them, and the page in a real browser."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from support.instant import InstantPool, die, error_of
from support.searches import RANDOM, TPE, changed
from support.studies import keep

from skexplore.analysis.repeats import compare
from skexplore.engine import coordinator
from skexplore.engine.options import Run
from skexplore.engine.run import run_plans
from skexplore.plan.search import Request, plan_search
from skexplore.report.comparison import write_comparison
from skexplore.report.figures import files as figure_files

FILES = ["curves.csv", "repeats.csv", "findings.json", "compare.md", "compare.html"]


# -- the command


@pytest.fixture
def kept(monkeypatch):
    for study in [*TPE, *RANDOM]:
        keep(study)
    keep(replace(changed(budget_gflops=4.0), state="finished"), Path("studies/other"))
    monkeypatch.setattr(figure_files, "BROWSERS", ())  # pictures take a browser and seconds


def test_compare_as_typed(command, kept):
    code, out, err = command("compare", "tpe-s0", "tpe-s1", "tpe-s2", "random-s0", "studies/random-s1")
    assert code == 0, err
    assert out.splitlines()[-6:] == [
        *(f"reports/compare-tpe-s0/{name}" for name in FILES),
        "reports/index.html",
    ]
    assert "no pictures" in err
    assert re.search(r"tpe +3 +40\.00 % +38\.00 to 42\.00 ", out)
    assert "below 90.00 % error and 4.5 GFLOPs (error of chance among 10 classes, the budget)" in out
    folder = Path("reports/compare-tpe-s0")
    table = (folder / "repeats.csv").read_text().splitlines()
    assert table[0] == (
        "study,group,seed,trained,images,incumbent,incumbent_at_equal,hypervolume,hypervolume_at_equal,"
        "hypervolume_share,hypervolume_share_at_equal"
    )
    assert table[5].startswith("random-s1,random,1,4,120000,0.36,0.44,")
    assert (folder / "curves.csv").read_text().startswith("group,study,images,best_val_error,low,high\n")
    markdown = (folder / "compare.md").read_text()
    assert "| random-s1 | random | 1 | 4 | 120,000 | 36.00 | 44.00 |" in markdown
    assert "| tpe | 3 | 40.00 | 38.00 to 42.00 |" in markdown
    before = {name: (folder / name).read_bytes() for name in FILES}
    command("compare", "tpe-s0", "tpe-s1", "tpe-s2", "random-s0", "random-s1")
    assert before == {name: (folder / name).read_bytes() for name in FILES}


def test_compare_as_json(command, kept):
    code, out, err = command(
        "compare", "tpe-s0", "random-s0", "--json", "--out", "here", "--reference", "0.6,4.4"
    )
    assert code == 0
    assert json.loads(out) == json.loads(Path("here/findings.json").read_text())
    assert json.loads(out)["reference"] == {"error": 0.6, "gflops": 4.4, "why": "as given", "area": 0.6 * 4.4}
    assert "here/compare.html" in err
    assert "No trial lies below the reference point" not in out
    low = command("compare", "tpe-s0", "random-s0", "--out", "here", "--reference", "0.01,4.4")[1]
    assert "No trial lies below the reference point" in low


def test_pictures_are_drawn_where_they_can_be(command, kept, monkeypatch):
    monkeypatch.setattr("skexplore.report.can_draw", lambda: True)
    monkeypatch.setattr(figure_files, "to_picture", lambda *_, **__: b"drawn")
    out = command("compare", "tpe-s0", "random-s0", "--out", "here")[1]
    assert out.splitlines()[-2:] == ["here/compare.svg", "here/compare.png"]
    assert Path("here/compare.png").read_bytes() == b"drawn"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tpe-s0"], "give two or more"),
        (["tpe-s0", "nope"], "no study at studies/nope; studies here: other, random-s0"),
        (["tpe-s0", "other"], "budget 4.5 GFLOPs and budget 4 GFLOPs"),
        (["tpe-s0", "studies/tpe-s0"], "Both are called tpe-s0"),
        (["tpe-s0", "tpe-s1", "--reference", "90,4.5"], "0.9 is 90 %"),
        (["tpe-s0", "tpe-s1", "--reference", "0.9"], "joined by a comma"),
        (["tpe-s0", "tpe-s1", "--reference", "nan,inf"], "--reference nan,inf"),
        (["tpe-s0", "tpe-s1", "--out", "studies/tpe-s0/study.json"], "choose another --out"),
        ([], "Missing argument"),
    ],
)
def test_wrong_input_exits_2_with_a_message_and_writes_nothing(command, kept, arguments, message):
    before = sorted(Path().rglob("*"))
    code, out, err = command("compare", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert sorted(Path().rglob("*")) == before


# -- repeats of a search


@pytest.fixture
def instant(monkeypatch, tiny, synthetic_data) -> None:
    monkeypatch.setattr(coordinator, "Pool", InstantPool)
    monkeypatch.setattr("skexplore.engine.run.prepare_data", lambda *_, **__: synthetic_data)
    monkeypatch.setattr(figure_files, "BROWSERS", ())


SEARCH = ("search", "--budget-gflops", "4.5", "--profile", "tiny", "--workers", "1", "--anchors", "none")


def test_repeats_differ_in_their_seed_and_end_with_the_command_that_compares(command, instant):
    code, out, err = command(*SEARCH, "--repeats", "2", "--seed", "5", "--trials", "1")
    assert code == 0, err
    names = [f"synthetic-sk-paper-4.5g-tiny-s{seed}" for seed in (5, 6)]
    assert re.search(names[1] + r" +finished +1 +1 +k\S+ +[0-9]{2}\.[0-9]{2} %", out)
    assert out.splitlines()[-1].split() == ["skexplore", "compare", *names]
    assert "2 of 2: seed 6" in err
    code, out, err = command(*shlex.split(out.splitlines()[-1])[1:])
    assert code == 0, err
    assert "repeats of one search" in out
    # the same command goes on, here with more trials
    code, out, _ = command(*SEARCH, "--repeats", "2", "--seed", "5", "--trials", "3", "--json")
    rows = json.loads(out)
    assert [(row["study"], row["trained"], row["state"]) for row in rows] == [
        (n, 3, "finished") for n in names
    ]
    assert rows[0]["best_block"] != rows[1]["best_block"]


def test_one_repeat_is_a_search_as_ever(command, instant):
    alone = json.loads(command(*SEARCH, "--repeats", "1", "--study", "mine", "--trials", "1", "--json")[1])
    assert (alone["study"], len(alone["front"])) == ("mine", 1)


def test_a_plan_sums_up_repeats_and_writes_nothing(command, instant, monkeypatch):
    measured = []
    monkeypatch.setattr("skexplore.training.measure", lambda *_: measured.append(1) or 128.0)
    repeats = (*SEARCH[:-2], "--repeats", "3", "--study", "s")
    found = json.loads(command(*repeats, "--plan", "--json")[1])
    assert (found["trials"], found["anchors"], found["studies"]) == (12, 12, ["s-s0", "s-s1", "s-s2"])
    assert found["seconds"] == pytest.approx(24 * 2 * (128 + 0.28 * 64) / 128)
    assert len(measured) == 1
    assert not any(Path.cwd().iterdir())
    command(*repeats[:-4], "--study", "s-s1", "--seed", "1")
    out = command(*repeats, "--plan")[1]
    assert (
        "3 studies, s-s0 to s-s2: 8 trainings of the search, 0 of them of its leaders again, and 8 of anchors to go"
        in out
    )


def test_what_a_later_repeat_would_refuse_is_refused_at_once(command, instant):
    command(*SEARCH, "--study", "s-s2", "--trials", "1")
    before = sorted(Path().rglob("*"))
    code, out, err = command(*SEARCH, "--study", "s", "--repeats", "3")
    assert (code, out) == (2, "")
    assert "s-s2 exists with another seed (0)" in err
    assert sorted(Path().rglob("*")) == before


@pytest.mark.parametrize(("repeats", "seed"), [("0", "0"), ("1001", "0"), ("2", str(2**31 - 1))])
def test_wrong_repeats_exit_2(command, instant, repeats, seed):
    code, out, err = command(*SEARCH, "--repeats", repeats, "--seed", seed)
    assert (code, out) == (2, "")
    assert (
        "--seed 2147483648" if repeats == "2" else f"--repeats {repeats}: must be between 1 and 1000"
    ) in err
    assert not any(Path.cwd().iterdir())


def test_ctrl_c_ends_all_repeats_and_the_same_command_goes_on(command, instant, monkeypatch):
    def interrupted(job):
        return die() if job.spec.seed == 1 else error_of(job)

    monkeypatch.setattr(coordinator, "Pool", lambda devices, log: InstantPool(devices, log, interrupted))
    arguments = (*SEARCH, "--repeats", "3", "--study", "s", "--trials", "1", "--json")
    code, out, err = command(*arguments)
    assert (code, out) == (130, "")
    assert "Repeat the same command to go on" in err
    assert not Path("studies/s-s2").exists()
    monkeypatch.setattr(coordinator, "Pool", InstantPool)
    rows = json.loads(command(*arguments)[1])
    assert [(row["study"], row["state"]) for row in rows] == [(f"s-s{seed}", "finished") for seed in range(3)]


def test_an_interrupt_in_the_last_epochs_of_a_search_begins_no_other(run):
    requests = (
        Request(budget_gflops=4.5, profile="tiny", study=f"s-s{seed}", seed=seed, trials=1, anchors="none")
        for seed in (0, 1)
    )
    run(study="warm", trials=1, anchors="none")  # puts the pool in place
    pressed = []

    def on_progress(event):
        if getattr(event, "kind", "") == "end":
            pressed.append(1)

    folder = run.pool.jobs[0].data_folder
    settings = Run(
        workers=1, data_folder=Path(folder), on_progress=on_progress, interrupts=lambda: len(pressed)
    )
    with pytest.raises(KeyboardInterrupt):
        run_plans([plan_search(request) for request in requests], settings)
    assert sorted(path.name for path in Path("studies").iterdir()) == ["s-s0", "warm"]


def test_the_time_limit_is_that_of_all_repeats(command, instant, monkeypatch):
    clock = itertools.count(0, 40)
    monkeypatch.setattr("skexplore.engine.run.time.monotonic", lambda: next(clock))
    code, out, err = command(
        *SEARCH, "--repeats", "9", "--study", "s", "--trials", "1", "--time-limit", "10m", "--json"
    )
    assert code == 0
    assert 0 < len(json.loads(out)) < 9
    assert "searches were not reached; the same command goes on" in err


# -- the page


@pytest.mark.page
def test_the_page_is_drawn_without_a_network_and_fits_a_phone(tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if path is None:
        pytest.skip("no browser is installed")
    hostile = "<script>alert(1)</script>"
    write_comparison(compare([*TPE, replace(RANDOM[0], command=hostile), RANDOM[1]]), tmp_path)
    troubles = []
    with sync_api.sync_playwright() as playwright:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=path, args=flags)
        page = browser.new_page(viewport={"width": 1100, "height": 900})
        page.on("console", lambda m: troubles.append(m.text) if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda dialog: (troubles.append(dialog.message), dialog.dismiss()))
        page.on(
            "request", lambda r: None if r.url.startswith(("file://", "data:")) else troubles.append(r.url)
        )
        page.goto((tmp_path / "compare.html").as_uri())
        page.wait_for_selector("html[data-ready]")
        legend = page.eval_on_selector_all("#curves .legendtext", "all => all.map(t => t.textContent)")
        assert legend == [
            f"{name} (lowest to highest shaded)" for name in ("tpe, median of 3", "random, median of 2")
        ]
        assert page.locator("#curves .scatterlayer .trace").count() == 8
        assert page.locator("#volumes tr.study").count() == 5
        assert page.locator("#wins li").count() == 1
        assert hostile in page.locator("#origin").text_content()
        page.set_viewport_size({"width": 390, "height": 900})
        for _ in range(100):  # polled from here: the page's own policy forbids the eval of wait_for_function
            if (wide := page.evaluate("document.documentElement.scrollWidth")) <= 390:
                break
            page.wait_for_timeout(100)
        assert wide <= 390
        browser.close()
    assert troubles == []
