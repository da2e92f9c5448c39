import csv
import io
import json
import re
import shutil
import warnings

import pytest

from skexplore import figure_files
from skexplore.analysis import PLACEMENT_COLUMNS
from skexplore.errors import UserError
from skexplore.published import place
from skexplore.record import COLUMNS
from skexplore.report import picture, write_report
from studies import EDGE_CASES, synthetic

NAMES = ["trials.csv", "pareto.csv", "placement.csv", "findings.json", "report.md", "index.html"]
HOSTILE = "<script>alert(1)</script>\"'\n|`*_[x](javascript:alert(2))"


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    assert [path.name for path in write_report(synthetic(), folder)] == NAMES
    return folder


def rows(path):
    return list(csv.DictReader(io.StringIO(path.read_bytes().decode(), newline="")))


def test_tables_have_the_contract_s_columns_and_plain_line_ends(out):
    for name, columns in (("trials", COLUMNS), ("pareto", COLUMNS), ("placement", PLACEMENT_COLUMNS)):
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


def test_page_is_one_file_without_addresses_to_load(out):
    page = (out / "index.html").read_text(encoding="utf-8")
    own = page.replace(figure_files.plotly_js(), "")
    assert page.count(figure_files.plotly_js()) == 1
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", own)
    assert not re.search(r"@import|url\(", own)
    assert "Pareto front of single trainings" in own
    assert own.count("multiply-adds of convolutions and linear layers") == 1


def test_page_and_markdown_say_every_status_and_grey_the_other_protocol(out):
    page = (out / "index.html").read_text(encoding="utf-8")
    for status in ("over budget", "failed", "diverged", "stopped", "replay"):
        assert f">{status}</span>" in page
    assert "out of memory" in page
    assert page.count("ImageNet, other protocol") == 3
    assert page.count('<td class="n other">20.79</td>') == 3
    text = (out / "report.md").read_text(encoding="utf-8")
    assert "Pareto front of single trainings" in text
    assert "| K3+K5 SK | `k3+k3d2` | 2 | 41.60 |" in text


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
    page = (tmp_path / "index.html").read_text(encoding="utf-8").replace(figure_files.plotly_js(), "")
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
        picture(synthetic())


@pytest.mark.page
def test_picture_is_svg_and_repeatable():
    pytest.importorskip("kaleido", reason="the extra skexplore[picture] is not installed")
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        pytest.skip("no browser: none of chromium, chromium-browser, google-chrome is installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # kaleido leaves its pipes to the collector
        first, second = picture(synthetic()), picture(synthetic())
    assert first.startswith("<svg")
    assert "budget 4.5 GFLOPs" in first
    assert first == second
