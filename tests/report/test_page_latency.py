"""Latency in the page of a study that measures it: an axis with its budget, columns, and how it was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.pages import DRAWN
from support.studies import synthetic

from skexplore.report.search import write_report
from skexplore.study.latency import LatencyTerms

TERMS = LatencyTerms(device="cpu", machine="a processor", batch=1, dtype="float32", threads=1, known_ms=100.0)


def measured():
    """The synthetic study with made-up latencies, the trials over its budget without one."""
    study = synthetic()
    records = tuple(
        replace(r, ref_latency_ms=None if r.status == "over_budget" else 90.0 + 7.3 * (i % 6))
        for i, r in enumerate(study.records)
    )
    return replace(study, records=records, spec=replace(study.spec, latency=TERMS, budget_latency_ms=130.0))


def test_the_report_says_latencies_and_how_they_were_measured(tmp_path, noise_is_known):
    study = measured()
    write_report(study, tmp_path)
    text = (tmp_path / "report.md").read_text()
    for record in study.front:
        assert f"| {record.ref_latency_ms:.2f} |" in text
    assert "Latency: batch of 1, float32, a processor, 1 thread, at the reference" in text
    assert "which took 100.00 ms alone" in text
    assert "budget 4.5 GFLOPs and 130 ms" in text
    header = (tmp_path / "trials.csv").read_text().splitlines()[0]
    assert header.endswith(",ref_latency_ms")


@pytest.mark.page
@pytest.mark.slow
def test_latency_is_an_axis_where_it_was_measured(visit, noise_is_known):
    study = measured()
    page = visit(study)
    page.select_option("#axis-x", "ref_latency_ms")
    page.wait_for_timeout(200)
    drawn = {
        position: x
        for trace in page.evaluate(DRAWN)
        for position, x in zip(trace["positions"], trace["x"], strict=True)
    }
    assert drawn == {position: study.records[position].ref_latency_ms for position in drawn}
    complete = {study.records.index(r) for r in study.searched if r.status == "complete"}
    assert {*drawn} == complete
    shapes = page.evaluate("document.getElementById('pareto').layout.shapes.map(s => [s.x0, s.x1])")
    assert [130, 130] in shapes
    page.fill("#filter-text", "latency<100")
    page.wait_for_function(
        "[...document.querySelectorAll('#all-trials tbody tr')].length"
        f" === {sum((r.ref_latency_ms or 999) < 100 for r in study.records)}"
    )
    assert "reference latency" in page.text_content("#pinned-facts")


@pytest.mark.page
@pytest.mark.slow
def test_latency_is_no_axis_where_it_was_not_measured(visit):
    page = visit(synthetic())
    assert page.locator("#axis-x option[value=ref_latency_ms]").count() == 0
