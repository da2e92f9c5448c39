import base64
import csv
import gzip
import html
import io
import json
import random
import re
import shutil
import struct
import warnings
from dataclasses import replace

import pytest
from support.studies import EDGE_CASES, know_noise, only, synthetic

from skexplore.analysis.tables import PLACEMENT_COLUMNS
from skexplore.arch import TRAITS
from skexplore.arch.notation import format_blocks, parse_block
from skexplore.errors import UserError
from skexplore.paper.tables import place
from skexplore.report.figures import files as figure_files
from skexplore.report.plots import search_picture
from skexplore.report.search import write_report
from skexplore.space.space import Space
from skexplore.study.record import COLUMNS
from skexplore.study.study import ESTIMATED

NAMES = ["trials.csv", "pareto.csv", "placement.csv", "findings.json", "report.md", "index.html"]
HOSTILE = "<script>alert(1)</script>\"'\n|`*_[x](javascript:alert(2))"

RECORDED = (*COLUMNS, *ESTIMATED, *TRAITS)


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        know_noise(patch)
        assert [path.name for path in write_report(synthetic(), folder)] == NAMES
    return folder


def rows(path):
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode(), newline="")))


def test_tables_have_the_contract_s_columns_and_plain_line_ends(out):
    for name, columns in (("trials", RECORDED), ("pareto", RECORDED), ("placement", PLACEMENT_COLUMNS)):
        data = (out / f"{name}.csv").read_bytes()
        assert data.splitlines()[0].decode() == ",".join(columns)
        assert b"\r" not in data


def test_numbers_in_tables_are_not_rounded(out):
    study = synthetic()
    for row, record in zip(rows(out / "trials.csv"), study.records, strict=True):
        assert row["val_error"] == ("" if record.val_error is None else repr(record.val_error))
        assert row["ref_macs"] == str(record.ref_macs)
        assert row["rung"] == ("" if record.rung is None else str(record.rung))
        assert float(row["seconds"]) == record.seconds


def test_front_is_that_of_the_trials_by_brute_force(out):
    trials = [
        (int(row["number"]), float(row["val_error"]), int(row["ref_macs"]))
        for row in rows(out / "trials.csv")
        if row["origin"] == "search" and row["status"] == "complete" and int(row["ref_macs"]) <= 4.5e9
    ]
    free = [
        (macs, number)
        for number, error, macs in trials
        if not any(e <= error and m <= macs and (e, m) != (error, macs) for _, e, m in trials)
    ]
    assert [int(row["number"]) for row in rows(out / "pareto.csv")] == [number for _, number in sorted(free)]


def test_every_row_of_placement_csv_is_recomputed(out):
    found = rows(out / "placement.csv")
    assert len(found) == 13 * 3
    for row in found:
        at = next(at for at in place(row["block"]) if at.table == int(row["table"]))
        assert row["nearest"] == " | ".join(at.nearest)
        assert (row["row_below"], row["row_above"]) == (" | ".join(at.below), " | ".join(at.above))
        assert float(row["params_diff_pct"]) == at.params_diff_pct
        assert float(row["macs_diff_pct"]) == at.macs_diff_pct
        assert row["matched"] == str(at.matched)


@pytest.mark.parametrize("case", EDGE_CASES)
def test_the_same_study_gives_the_same_bytes_in_every_state(case, tmp_path):
    for folder in ("a", "b"):
        write_report(EDGE_CASES[case], tmp_path / folder)
    for name in NAMES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def unpacked(page, name):
    data = re.search(f'id="packed-{name}">([A-Za-z0-9+/=]*)<', page)[1]
    return gzip.decompress(base64.b64decode(data)).decode()


def test_page_is_one_file_without_addresses_to_load(out):
    page = (out / "index.html").read_text(encoding="utf-8")
    assert unpacked(page, "plotly") == figure_files.plotly_js()
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page)
    assert not re.search(r"@import|url\(", page)
    assert "Pareto front" in page
    assert page.count("multiply-adds of convolutions and linear layers") == 1


def test_the_page_s_data_are_the_records(out):
    study = synthetic()
    data = json.loads(unpacked((out / "index.html").read_text(encoding="utf-8"), "data"))
    for values, curve, record in zip(data["rows"], data["curves"], study.records, strict=True):
        shown = {"seconds": round(record.seconds, 1)}  # more digits of 20,000 trials are half a megabyte
        assert values == [shown.get(name, getattr(record, name)) for name in data["columns"]]
        assert curve == [epoch.val_error for epoch in record.curve]
        assert [row[1] for row in data["places"][record.block]] == [
            " | ".join(at.nearest) for at in place(record.block)
        ]
    assert [study.records[position] for position in data["front"]] == study.front
    assert study.records[data["best"]] == study.best


def test_page_and_markdown_grey_the_other_protocol(out):
    page = (out / "index.html").read_text(encoding="utf-8")
    assert page.count("ImageNet, other protocol") == 3
    assert page.count('<td class="n other">20.79</td>') == 3
    text = (out / "report.md").read_text(encoding="utf-8")
    assert "Pareto front" in text
    assert "| K3+K5 SK | `k3+k3d2` | 2 | 41.60 |" in text


def test_knee_marks_importances_and_checklist_are_findings_and_stand_in_the_texts(out):
    found = json.loads((out / "findings.json").read_text())
    front = [row["number"] for row in found["front"]]
    assert found["knee"] in front
    assert {row["may_be_best"] for row in found["front"]} == {True, False}
    assert found["best"]["number"] in front
    assert found["importances"]["withheld"] == "the study has no space with decisions."
    for name in ("report.md", "index.html"):
        text = html.unescape((out / name).read_text(encoding="utf-8")).replace("\\", "")
        assert "Lindauer" in text
        for item in found["checklist"]:
            assert item["question"] in text
            said, colon, command = item["evidence"].rpartition(": skexplore ")
            code = f"{said}: `skexplore {command}`" if colon else command
            assert (code if name == "report.md" else item["evidence"]) in text
    assert f"Knee of the front: trial {found['knee']}." in (out / "report.md").read_text(encoding="utf-8")


def test_importances_of_many_trials_are_shown_with_their_number(tmp_path):
    space = {"branches.1": ["k1", "k3"], "branches.2": ["none", "k3d2", "k5"], "reduction": [8, 16, 32, 64]}
    chosen = Space(
        name="small",
        description="",
        base=parse_block("k3"),
        decisions={p: tuple(of) for p, of in space.items()},
    )
    blocks = dict.fromkeys(format_blocks(chosen.decode(point)) for point in chosen.points())
    noise = random.Random(0)
    study = only(*[(block, "complete", 0.5 - 0.1 * block.startswith("k3"), 6) for block in blocks] * 5)
    records = [
        replace(record, seed=n, key=f"{record.key}{n}", val_error=record.val_error + 0.02 * noise.random())
        for n, record in enumerate(study.records)
    ]
    spec = replace(study.spec, space_base="k3", space_decisions=space, budget_gflops=9.0)
    study = replace(study, spec=spec)
    write_report(study.with_records(records[:49]), tmp_path / "few")
    assert "50" in json.loads((tmp_path / "few/findings.json").read_text())["importances"]["withheld"]
    write_report(study.with_records(records), tmp_path)
    found = json.loads((tmp_path / "findings.json").read_text())["importances"]
    assert found["withheld"] == ""
    assert next(iter(found["shares"])) == "branches.1"
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert f"PED-ANOVA over n = {found['n']} complete trials" in page
    assert 'id="importances"' in page


def test_a_comparable_study_is_named_with_its_labels_and_another_refused(tmp_path):
    other = only(("k3", "complete", 0.43, 6), anchors=True, name="beside")
    write_report(synthetic(), tmp_path, [other])
    found = json.loads((tmp_path / "findings.json").read_text())["beside"]
    (said,) = found
    assert (said["study"], said["trained"]) == ("beside", 1)
    assert said["best_estimate"] == pytest.approx((0.43 + 0.446) / 2)  # with the anchor's other seed
    for name in ("report.md", "index.html"):
        assert "beside, 1 trained" in (tmp_path / name).read_text(encoding="utf-8").replace("</b>", "")
    foreign = replace(other, spec=replace(other.spec, recipe=replace(other.spec.recipe, epochs=7)))
    with pytest.raises(UserError, match="beside cannot be drawn over synthetic") as caught:
        write_report(synthetic(), tmp_path / "none", [foreign])
    assert "7" in str(caught.value)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("case", ["empty", "nothing feasible", "failures only"])
def test_a_study_without_a_front_says_so(case, tmp_path):
    write_report(EDGE_CASES[case], tmp_path)
    assert "No front yet" in (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "No feasible trial is complete yet" in (tmp_path / "report.md").read_text(encoding="utf-8")
    assert rows(tmp_path / "pareto.csv") == []
    assert json.loads((tmp_path / "findings.json").read_text())["best"] is None


def test_hostile_text_stays_text(tmp_path):
    study = synthetic(name=HOSTILE, command=HOSTILE + "\n```\n# no", environment={HOSTILE: HOSTILE})
    write_report(study, tmp_path)
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    before, fenced = text.split("````text\n")
    assert "<script" not in before
    assert fenced.endswith("# no\n````\n")
    assert "[x](" not in before
    assert json.loads((tmp_path / "findings.json").read_text(encoding="utf-8"))["study"] == HOSTILE


def test_picture_without_its_extra_names_it(monkeypatch):
    monkeypatch.setattr(figure_files.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"skexplore\[picture\]"):
        search_picture(synthetic(), "svg")


@pytest.mark.page
@pytest.mark.slow
def test_picture_is_svg_and_repeatable():
    pytest.importorskip("kaleido", reason="the extra skexplore[picture] is not installed")
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        pytest.skip("no browser: none of chromium, chromium-browser, google-chrome is installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # kaleido leaves its pipes to the collector
        first, second = search_picture(synthetic(), "svg"), search_picture(synthetic(), "svg")
        bitmap = search_picture(synthetic(), "png")
    assert first.startswith(b"<svg")
    assert b"budget 4.5 GFLOPs" in first
    assert first == second
    width, height = struct.unpack(">II", bitmap[16:24])
    assert (bitmap[:4], width, height) == (b"\x89PNG", 1720, 1040)
