"""The committed studies and reports: every number is recomputed from the records."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from skexplore.block import parse_block
from skexplore.cost import arch_id, cost, net_id
from skexplore.record import trained
from skexplore.report import write_report
from skexplore.space import Space
from skexplore.store import load_study

ROOT = Path(__file__).parent.parent
ARCHIVES = sorted(path.parent for path in ROOT.glob("studies/*/records.jsonl"))
DATA = ("trials.csv", "pareto.csv", "placement.csv", "findings.json", "report.md")


def test_there_is_evidence():
    assert "first-search" in [path.name for path in ARCHIVES]


@pytest.mark.parametrize("folder", ARCHIVES, ids=lambda path: path.name)
def test_costs_and_identities_of_the_records_are_recomputed(folder):
    study = load_study(str(folder))
    assert trained(study.records) == study.target
    for record in study.records:
        reference, proxy = cost(record.block), cost(record.block, study.spec.backbone)
        assert (record.ref_macs, record.ref_params) == (reference.macs, reference.params)
        assert (record.proxy_macs, record.proxy_params) == (proxy.macs, proxy.params)
        assert record.arch_id == arch_id(record.block)
        assert record.net_id == net_id(record.block, study.spec.backbone)
        if record.origin == "search" and record.images:
            assert study.spec.within(record)
        if record.curve:
            assert record.val_error == record.curve[-1].val_error
    decisions = {path: tuple(levels) for path, levels in study.spec.space_decisions.items()}
    space = Space(
        name="archived", description="", base=parse_block(study.spec.space_base), decisions=decisions
    )
    assert space.hash == study.spec.space_hash
    keys = [record.key for record in study.records if record.images]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("folder", ARCHIVES, ids=lambda path: path.name)
def test_the_committed_report_is_what_the_records_give(folder, tmp_path):
    found = json.loads((ROOT / "reports" / folder.name / "findings.json").read_text())
    beside = [load_study(str(ROOT / "studies" / each["study"])) for each in found["beside"]]
    write_report(load_study(str(folder)), tmp_path / "report", beside)
    for name in DATA:
        committed = ROOT / "reports" / folder.name / name
        assert (tmp_path / "report" / name).read_bytes() == committed.read_bytes(), name


def test_the_readmes_figures_are_in_the_report():
    """The README quotes the front of the committed search: each of its table rows is a row of report.md's."""
    report = (ROOT / "reports/first-search/report.md").read_text()
    text = (ROOT / "README.md").read_text()
    quoted = text[text.index("<!-- front -->") : text.index("<!-- /front -->")]
    rows = [line for line in quoted.splitlines() if line.startswith("| ") and "`" in line]
    assert rows
    for row in rows:
        block, error, gflops, params, _ = (cell.strip() for cell in row.split("|")[1:6])
        figures = [block.removeprefix("anchor "), error.removesuffix(" %"), gflops, params.removesuffix(" M")]
        assert any(all(figure in line for figure in figures) for line in report.splitlines()), row
