"""A table of trainings: each once, from studies that were measured alike, as pandas and as CSV."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pandas
import pytest
from support.studies import SPEC, record

from skexplore.arch import Setting
from skexplore.study import load_study, load_table, read_table, table

STUDIES = Path(__file__).parents[2] / "studies"


def shipped(*names):
    return [str(STUDIES / name) for name in names]


ALIKE = shipped("first-search", "table7", "table6")


def test_each_training_is_there_once_with_the_error_of_its_record():
    found = load_table(*ALIKE)
    assert not found.duplicated(["block", "seed"]).any()
    wanted = {
        (record.block, record.seed): (record.val_error, record.ref_macs, record.proxy_params)
        for name in ALIKE
        for record in load_study(name).records
        if record.status == "complete"
    }
    rows = {
        (row.block, row.seed): (row.val_error, row.ref_macs, row.proxy_params) for row in found.itertuples()
    }
    assert rows == wanted
    assert found.block.is_monotonic_increasing


def test_errors_are_by_block_and_seed():
    errors = read_table(ALIKE).errors
    assert set(errors["k3+k3d2"]) == {0, 1, 2}  # anchors and rows of both tables are the same trainings


def test_the_command_prints_what_python_loads(command):
    code, out, _ = command("table", *ALIKE)
    assert code == 0
    read = pandas.read_csv(io.StringIO(out), keep_default_na=False)
    assert read.to_dict("list") == load_table(*ALIKE).to_dict("list")


def test_the_table_comes_with_the_package(command):
    code, out, _ = command("table")  # in a folder of its own
    assert code == 0
    found = pandas.read_csv(io.StringIO(out))
    assert (found.arch_id.nunique(), len(found)) == (414, 600)
    assert load_table(*shipped("sk-table", "sk-table-best")).equals(load_table())


@pytest.mark.parametrize(
    ("studies", "words"),
    [
        (shipped("first-search", "table3"), "backbones differ"),
        (shipped("table7"), "no search"),
        (["nothing-here"], "no study"),
    ],
)
def test_what_was_measured_otherwise_makes_no_table(command, tmp_path, monkeypatch, studies, words):
    monkeypatch.chdir(tmp_path)
    code, out, err = command("table", *studies)
    assert (code, out) == (2, "")
    assert words in err


def test_what_is_unfinished_or_surrounded_by_something_else_is_left_out(monkeypatch):
    gated = record(1, "k3", "complete", 0.4, 6, seed=3, setting=Setting(gate="se"))
    records = (record(0, "k3", "complete", 0.5, 6), gated, record(2, "k1", "stopped", 0.6, 2))
    study = load_study(ALIKE[0])
    monkeypatch.setattr(table, "load_study", lambda _: replace(study, spec=SPEC, records=records))
    assert read_table(["it"]).errors == {"k3": {0: 0.5}}
