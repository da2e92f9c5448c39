"""A study's trainings as runs of a tracker."""

from __future__ import annotations

import pytest

from skexplore.tracking import StudyFollower, following as module
from skexplore.tracking.following import run_name, settings_of, values_of


@pytest.fixture
def told(monkeypatch):
    """What is told to a tracker of runs: (group, name, settings, values by step)."""
    from contextlib import contextmanager

    found = []

    class Recorder:
        def __init__(self, name, folder, group, *, warn):
            self.group, self.folder = group, folder

        @contextmanager
        def run(self, name, config):
            values = {}
            found.append((self.group, name, dict(config), values))
            yield values.__setitem__

    monkeypatch.setattr(module, "Tracker", Recorder)
    return found


def test_each_training_of_a_search_is_a_run_of_the_study(run, told):
    study = run(on_progress=StudyFollower("tensorboard", warn=print), trials=3)
    trained = [record for record in study.records if record.curve]
    assert len(told) == len(trained) > 3  # with the anchors
    assert {group for group, *_ in told} == {"s"}
    by_name = {name: (settings, values) for _, name, settings, values in told}
    for record in trained:
        settings, values = by_name[run_name(record)]
        assert settings["block"] == record.block
        assert settings["ref_macs"] == record.ref_macs
        assert settings["study"] == "s"
        assert values == dict(values_of(record))
        assert values[len(record.curve)]["val_error"] == record.curve[-1].val_error


def test_a_test_error_stands_beside_the_last_epoch(run):
    from dataclasses import replace

    record = next(each for each in run(trials=1).records if each.curve)
    *before, (_, last) = values_of(replace(record, test_error=0.125))
    assert last["test_error"] == 0.125
    assert all("test_error" not in values for _, values in before)
    assert settings_of(record)["origin"] == record.origin
