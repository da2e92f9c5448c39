"""``skexplore report`` as a user types it, on archives of made-up studies."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from support.studies import ANCHORS, keep, only, synthetic

from skexplore.errors import UserError
from skexplore.report.figures import files as figure_files
from skexplore.study.store import archive, load_study

FILES = ["trials.csv", "pareto.csv", "placement.csv", "findings.json", "report.md", "index.html"]


@pytest.fixture
def studies(monkeypatch) -> None:
    keep(synthetic(name="one"))
    keep(only(("k3", "complete", 0.43, 6), anchors=True, name="other"))
    foreign = only(("k3", "complete", 0.43, 6), name="foreign")
    keep(replace(foreign, spec=replace(foreign.spec, backbone="16x4d-1111-s2")))
    monkeypatch.setattr(figure_files, "BROWSERS", ())  # pictures take a browser and seconds


def test_a_report_with_another_study_laid_over(command, studies):
    assert load_study("one").spec.name == "one"
    code, out, err = command("report", "one", "other")
    assert (code, out.splitlines()) == (0, [*(f"reports/one/{name}" for name in FILES), "reports/index.html"])
    assert "no pictures" in err
    assert err.endswith("open reports/one/index.html\n")
    found = json.loads(Path("reports/one/findings.json").read_text())
    assert [each["study"] for each in found["beside"]] == ["other"]


def test_what_cannot_be_laid_over_is_refused_by_name_and_nothing_written(command, studies):
    for beside, message in (("foreign", "16x4d-1111-s2"), ("one", "the same study"), ("none", "no study at")):
        code, out, err = command("report", "one", beside)
        assert (code, out) == (2, "")
        assert message in err
    assert not Path("reports").exists()


def test_a_confirmation_stands_beside_its_search(command, monkeypatch):
    monkeypatch.setattr(figure_files, "BROWSERS", ())
    shutil.copytree(Path(__file__).parents[2] / "studies", "studies")
    code, _, err = command("report", "first-search", "first-random", "first-search-confirm")
    assert code == 0, err
    found = json.loads(Path("reports/first-search/findings.json").read_text())
    assert [each["study"] for each in found["beside"]] == ["first-random"]
    (confirmation,) = found["confirmations"]
    assert confirmation["study"] == "first-search-confirm"
    alone = command("report", "first-search-confirm", "--out", "alone")
    assert alone[0] == 0
    assert confirmation["rows"] == json.loads(Path("alone/findings.json").read_text())["finalists"]
    for name in ("report.md", "index.html"):
        text = Path("reports/first-search", name).read_text()
        assert "Finalists trained again: first-search-confirm" in text
        assert "26.14 to 26.80" in text  # its 95 % interval on test
        assert all(sentence in text.replace("&#39;", "'") for sentence in confirmation["said"])
    for given, message in (
        (
            ["first-random", "first-search-confirm"],
            "does not confirm first-random, it confirms first-search",
        ),
        (
            ["first-search-confirm", "first-search"],
            "give one study at a time, or a search and then its confirmation",
        ),
        (["first-search", "table7"], "table7: an ablation is reported by itself"),
    ):
        code, out, err = command("report", *given)
        assert (code, out) == (2, "")
        assert message in err


def test_a_confirmation_of_another_search_of_that_name_is_refused(command, monkeypatch):
    monkeypatch.setattr(figure_files, "BROWSERS", ())
    shutil.copytree(
        Path(__file__).parents[2] / "studies/first-search-confirm", "studies/first-search-confirm"
    )
    keep(synthetic(name="first-search"))
    code, _, err = command("report", "first-search", "first-search-confirm")
    assert code == 2
    assert "its finalists are not those of this search" in err


def test_a_study_is_laid_over_once(command, studies):
    code, _, err = command("report", "one", "other", "other")
    assert code == 2
    assert "other: given twice" in err


def test_an_archive_cannot_send_its_report_elsewhere(command, tmp_path):
    folder = tmp_path / "escape"
    keep(synthetic(name=str(folder)), Path("studies/innocent"))
    code, _, err = command("report", "studies/innocent")
    assert code == 2
    assert "study name" in err
    assert not folder.exists()


def test_an_archive_s_checklist_says_where_things_can_be_done(command, studies):
    command("report", "one")
    items = json.loads(Path("reports/one/findings.json").read_text())["checklist"]
    undone = [item["evidence"] for item in items if item["done"] is False]
    assert undone
    assert all("This is an archive" in evidence for evidence in undone)


def test_own_trainings_are_not_called_a_search(command, monkeypatch):
    monkeypatch.setattr(figure_files, "BROWSERS", ())
    study = synthetic(name="own", records=ANCHORS, target=0)
    keep(replace(study, spec=replace(study.spec, sampler="none", budget_gflops=None, space="none")))
    assert command("report", "own")[0] == 0
    text = Path("reports/own/report.md").read_text()
    assert "blocks chosen by hand" in text
    assert "| K3+K5 SK | `k3+k3d2` | 2 | 41.60 |" in text
    page = Path("reports/own/index.html").read_text()
    for words in ("No feasible", "0 of 0 trials", "sampler none", "Search for Selective"):
        assert words not in text
        assert words not in page


def test_an_archive_reports_like_its_archive(command, studies):
    command("report", "one")
    archive("one", Path("moved"))
    shutil.rmtree("studies")
    assert command("report", "moved", "--out", "again")[0] == 0
    for name in FILES:
        assert (Path("again") / name).read_bytes() == (Path("reports/one") / name).read_bytes(), name


def test_pictures_that_fail_leave_a_report_unless_they_were_asked_for(command, studies, monkeypatch):
    def fails(*_):
        raise UserError("the picture could not be drawn")

    monkeypatch.setattr("skexplore.report.search_picture", fails)
    monkeypatch.setattr("skexplore.report.can_draw", lambda: True)
    code, out, err = command("report", "one")
    assert (code, len(out.splitlines())) == (0, len(FILES) + 1)  # and the overview
    assert "the picture could not be drawn" in err
    code, _, err = command("report", "one", "--picture")
    assert code == 2
    assert "the picture could not be drawn" in err
