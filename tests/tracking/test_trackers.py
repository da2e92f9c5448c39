"""Trackers, the real packages: what they keep can be read again, nothing leaves the machine, failures end nothing."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
from pathlib import Path

import pytest

from skexplore.errors import UserError
from skexplore.tracking import TRACKERS, Tracker, check_tracker

CONFIG = {"block": "k3+k3d2", "seed": 0, "ref_macs": 4_470_000_000}
CURVE = [(1, {"train_loss": 2.0, "val_error": 0.5}), (2, {"train_loss": 1.0, "val_error": 0.25})]


@pytest.fixture
def sent(monkeypatch):
    """No connection leaves this machine; the list of those that were tried."""
    tried = []
    connect = socket.socket.connect

    def only_here(self, address):
        if self.family == socket.AF_UNIX or address[0] in ("127.0.0.1", "::1", "localhost"):
            return connect(self, address)
        tried.append(address)
        raise OSError("no network in tests")

    monkeypatch.setattr(socket.socket, "connect", only_here)
    for name in ("MLFLOW_TRACKING_URI", "WANDB_MODE", "TRACKIO_SPACE_ID", "TRACKIO_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)
    return tried


def tracked(name, folder):
    said = []
    tracker = Tracker(name, folder, "my-study", warn=said.append)
    for run in ("trial 1: k3+k3d2, seed 0", "trial 2: k3, seed 0"):
        with tracker.run(run, CONFIG) as log:
            for step, values in CURVE:
                log(step, values)
    return said


def test_tensorboard_holds_a_folder_a_run(tmp_path, sent):
    assert tracked("tensorboard", tmp_path) == []
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    runs = sorted((tmp_path / "tensorboard").iterdir())
    assert [run.name for run in runs] == ["trial-1-k3+k3d2-seed-0", "trial-2-k3-seed-0"]
    events = EventAccumulator(str(runs[0]))
    events.Reload()
    assert [(each.step, each.value) for each in events.Scalars("val_error")] == [(1, 0.5), (2, 0.25)]
    assert sent == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_mlflow_holds_an_experiment_a_study(tmp_path, sent):
    assert tracked("mlflow", tmp_path) == []
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("my-study")
    runs = client.search_runs([experiment.experiment_id])
    assert {run.info.run_name for run in runs} == {"trial 1: k3+k3d2, seed 0", "trial 2: k3, seed 0"}
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert runs[0].data.params["block"] == "k3+k3d2"
    history = client.get_metric_history(runs[0].info.run_id, "val_error")
    assert [(each.step, each.value) for each in history] == [(1, 0.5), (2, 0.25)]
    assert sent == []
    assert not Path("mlruns").exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_wandb_keeps_runs_offline(tmp_path, sent):
    assert tracked("wandb", tmp_path) == []
    runs = list((tmp_path / "wandb").glob("offline-run-*"))
    assert len(runs) == 2
    assert all(list(run.glob("*.wandb")) for run in runs)
    assert sent == []


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_trackio_keeps_a_project_a_study(tmp_path, sent, monkeypatch):
    import subprocess
    import sys

    # in a process of its own: it reads where to keep things when it is imported
    script = """
import sys, json
from pathlib import Path
sys.path[:0] = [sys.argv[2]]
from test_trackers import tracked
print(json.dumps(tracked("trackio", Path(sys.argv[1]) / "study")))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(tmp_path), str(Path(__file__).parent)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []
    (database,) = (tmp_path / "trackio").glob("my-study*.db")
    with sqlite3.connect(database) as held:
        rows = held.execute("select run_name, step, metrics from metrics order by run_name, step").fetchall()
    assert [(name, step, json.loads(values)["val_error"]) for name, step, values in rows][:2] == [
        ("trial 1: k3+k3d2, seed 0", 1, 0.5),
        ("trial 1: k3+k3d2, seed 0", 2, 0.25),
    ]


def test_an_unknown_tracker_and_a_missing_package_are_said(monkeypatch):
    with pytest.raises(UserError, match=r"unknown tracker 'tensorbord' \(did you mean tensorboard\?\)"):
        check_tracker("tensorbord")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(
        UserError, match=r'--track wandb: wandb is not installed: pip install "skexplore\[wandb\]"'
    ):
        check_tracker("wandb")


@pytest.mark.parametrize("where", ["begin", "open", "log", "finish"])
def test_a_tracker_that_fails_is_said_once_and_left(tmp_path, monkeypatch, where):
    from dataclasses import replace

    def broken(*_):
        raise RuntimeError("disk full\nmore")

    def log(*_):
        return broken() if where == "log" else None

    def finish(*_):
        return broken() if where == "finish" else None

    def begin(*_):
        if where == "begin":
            broken()
        return broken if where == "open" else lambda *_: (log, finish)

    monkeypatch.setitem(TRACKERS, "tensorboard", replace(TRACKERS["tensorboard"], begin=begin))
    said = tracked("tensorboard", tmp_path)
    assert said == ["tensorboard failed (RuntimeError: disk full); the training goes on without it"]


def test_a_run_that_fails_is_marked_so_and_its_error_passes(tmp_path, monkeypatch):
    from dataclasses import replace

    ended = []
    monkeypatch.setitem(
        TRACKERS,
        "wandb",
        replace(TRACKERS["wandb"], begin=lambda *_: lambda *_: (lambda *_: None, ended.append)),
    )
    tracker = Tracker("wandb", tmp_path, "s", warn=print)
    with pytest.raises(ValueError, match="diverged"), tracker.run("one", {}):
        raise ValueError("diverged")
    with tracker.run("two", {}):
        pass
    assert ended == [False, True]


def test_trackers_are_told_not_to_report_on_their_use(tmp_path, monkeypatch):
    monkeypatch.delenv("DO_NOT_TRACK", raising=False)
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    tracked("tensorboard", tmp_path)
    assert os.environ["DO_NOT_TRACK"] == "1"
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
