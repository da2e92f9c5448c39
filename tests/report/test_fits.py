"""The report of trainings of whole networks."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from support.fits import six, training

from skexplore.analysis import compare_fits
from skexplore.report import write_fit_report, write_overview


def test_a_report_holds_what_was_found(tmp_path):
    folder = tmp_path / "reports" / "table5"
    paths = write_fit_report(compare_fits(six()), folder)
    assert {path.name for path in paths} == {
        "index.html",
        "report.md",
        "fits.csv",
        "curves.csv",
        "findings.json",
    }
    rows = pd.read_csv(folder / "fits.csv")
    assert len(rows) == 12  # six trainings, two parts
    assert rows[rows["part"] == "test"]["error"].tolist() == pytest.approx(
        [0.21, 0.22, 0.2, 0.162, 0.168, 0.15]
    )
    text = (folder / "report.md").read_text()
    assert "| `k3+k3d2 in sknet29` (baseline) | 3 | 16.00 |" in text
    assert "ResNeXt-29, 16x32d, Table 5, in print: the same network as k3 in sknet29" in text
    assert json.loads((folder / "findings.json").read_text())["n"] == 3


def test_equal_trainings_give_equal_bytes(tmp_path):
    one, two = (write_fit_report(compare_fits(six()), tmp_path / name / "r") for name in ("a", "b"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


@pytest.mark.parametrize("fits", [[training("k3", 0, None)], [training("k3", 0, 0.2)]])
def test_few_or_unfinished_trainings_have_a_report_too(tmp_path, fits):
    write_fit_report(compare_fits(fits), tmp_path / "r")
    text = (tmp_path / "r" / "report.md").read_text()
    assert "No training is finished yet." in text or "One seed: numbers, no claims." in text
    assert "Below zero" not in text  # nothing is compared


def test_the_overview_has_a_card_for_it(tmp_path):
    write_fit_report(compare_fits(six()), tmp_path / "table5")
    page = write_overview(tmp_path).read_text()
    assert "whole networks" in page
    assert "k3+k3d2 in sknet29: 16.00 % (test)" in page


@pytest.mark.page
def test_the_page_draws_in_a_browser(tmp_path, browser):
    write_fit_report(compare_fits(six()), tmp_path / "r")
    page = browser.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda message: problems.append(message.text))
    page.goto((tmp_path / "r" / "index.html").as_uri())
    page.wait_for_selector("html[data-ready=yes]")
    assert page.locator("#curves .main-svg").count() > 0
    assert problems == []
    page.close()
