"""A study file as it is, in the real optuna-dashboard: what it plots and filters by is there, each for itself."""

from __future__ import annotations

import json
from wsgiref.util import setup_testing_defaults

import pytest
from optuna.storages import RDBStorage
from support.instant import rugged

from skexplore.arch.notation import parse_blocks
from skexplore.arch.traits import traits_of


def studies_of(name):
    """Return what the dashboard's API says of each study in the file of study ``name``, by its name."""
    from optuna_dashboard import wsgi

    app = wsgi(RDBStorage(f"sqlite:///studies/{name}/study.db"))

    def get(path, query=""):
        request, said = {"PATH_INFO": path, "QUERY_STRING": query}, []
        setup_testing_defaults(request)
        body = b"".join(app(request, lambda status, headers, error=None: said.append(status)))
        assert said == ["200 OK"]
        return json.loads(body)

    listed = get("/api/studies")["study_summaries"]
    return {each["study_name"]: get(f"/api/studies/{each['study_id']}", "after=0") for each in listed}


@pytest.fixture
def attributes_of():
    """Return the attributes of a trial, numbers as numbers."""

    def read(trial):
        words = ("block", "status", "kernels", "groups", "fuse")
        found = {each["key"]: each["value"] for each in trial["user_attrs"]}
        return {key: value if key in words else json.loads(value) for key, value in found.items()}

    return read


def test_the_dashboard_shows_values_costs_and_decisions_by_name(run, attributes_of):
    study = run(rugged, trials=6, study="shown")
    found = studies_of("shown")
    assert found["shown"]["objective_names"] == ["val error"]
    trials = found["shown"]["trials"]
    assert len(trials) == len(study.searched)
    for trial, record in zip(trials, study.searched, strict=True):
        said = attributes_of(trial)
        for name, value in traits_of(parse_blocks(record.block)).items():
            assert said.get(name) == (str(value) if name == "groups" else value)
        assert (said["block"], said["status"]) == (record.block, record.status)
        assert said["reference GFLOPs"] == record.ref_macs / 1e9
        if record.status == "complete":
            assert trial["values"] == [record.val_error]
            steps = {each["step"]: each["value"] for each in trial["intermediate_values"]}
            assert steps == {epoch.epoch: epoch.val_error for epoch in record.curve}
    plotted = {each["key"] for each in found["shown"]["union_user_attrs"] if each["sortable"]}
    assert {"M", "reference GFLOPs", "reference params (M)", "proxy multiply-adds"} <= plotted
    anchors = found["shown.anchors"]["trials"]
    beside = [record.seed for record in study.records if record.beside]
    assert [attributes_of(trial)["seed"] for trial in anchors] == beside


def test_the_dashboard_shows_both_objectives_by_name(run):
    run(rugged, mode="pareto", trials=4, study="two")
    found = studies_of("two")["two"]
    assert found["objective_names"] == ["val error", "reference GFLOPs"]
    assert list(found["directions"]) == ["minimize", "minimize"]
