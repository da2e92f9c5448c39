"""The page of all reports of a folder: a card for each kind, and nothing for what is no report."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import pytest
from support.studies import EDGE_CASES, only, synthetic

from skexplore.report.overview import HEIGHT, MARGIN, WIDTH, write_overview
from skexplore.report.search import write_report

COMMITTED = Path(__file__).parents[2] / "reports"


def cards(page):
    """Return what each card says, by its name."""
    found = re.findall(r'<a class="card" href="([^"]*)">(.*?)</a>', page.read_text(), re.DOTALL)
    return {re.search("<strong>(.*?)</strong>", text)[1]: (href, text) for href, text in found}


def said(text):
    return [unescape(each) for each in re.findall(r'<span class="line">(.*?)</span>', text)]


@pytest.mark.parametrize("case", EDGE_CASES)
def test_every_state_of_a_study_has_its_card(tmp_path, case):
    study = EDGE_CASES[case]
    write_report(study, tmp_path / "one")
    href, text = cards(write_overview(tmp_path))["one"]
    assert href == "one/index.html"
    best = study.best
    assert f"{len(study.front)} point" in text if best else "point" not in text
    if best:
        assert said(text)[0].startswith(f"{best.block}: {100 * study.estimated(best):.2f} %")


def test_each_report_of_the_repository_has_a_card_of_its_kind():
    found = cards(COMMITTED / "index.html")
    assert {*found} == {path.parent.name for path in COMMITTED.glob("*/findings.json")}
    for name, (href, text) in found.items():
        assert (COMMITTED / href).is_file()
        kind = re.search(r'<span class="fine">(\w+)', text)[1]
        expected = {
            "first-light": "search",
            "first-random": "search",
            "first-search": "search",
            "first-search-confirm": "confirmation",
            "first-search-s1": "search",
            "first-search-s1-confirm": "confirmation",
            "first-search-s2": "search",
            "first-search-s2-confirm": "confirmation",
            "model-random": "comparison",
            "sk-table": "search",
        }
        assert kind == expected.get(name, "ablation")
        assert said(text)


def test_points_of_a_thumbnail_lie_in_it_and_rise_with_the_error(tmp_path):
    study = synthetic()
    write_report(study, tmp_path / "one")
    _, text = cards(write_overview(tmp_path))["one"]
    points = [tuple(map(float, found)) for found in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', text)]
    front = study.front
    assert len(points) == len(front)
    assert all(MARGIN <= x <= WIDTH - MARGIN and MARGIN <= y <= HEIGHT - MARGIN for x, y in points)
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    heights = [HEIGHT - y for _, y in points]
    assert heights == sorted(heights, reverse=True)  # a dearer block of a front has less error


def test_names_stay_text_and_what_is_no_report_is_left_out(tmp_path):
    write_report(only(("k3", "complete", 0.43, 6), name="<b>one</b>"), tmp_path / "one & two")
    for name, content in (("broken", "{"), ("other", json.dumps({"a": 1})), ("list", "[]"), ("half", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "findings.json").write_text(content)
        (tmp_path / name / "index.html").touch()
    (tmp_path / "no-page").mkdir()
    (tmp_path / "no-page" / "findings.json").write_text((tmp_path / "one & two/findings.json").read_text())
    page = write_overview(tmp_path)
    assert [unescape(name) for name in cards(page)] == ["one & two"]
    assert 'href="one%20%26%20two/index.html"' in page.read_text()


def test_a_folder_without_reports_says_how_to_make_one(tmp_path):
    assert "skexplore report STUDY" in write_overview(tmp_path).read_text()
