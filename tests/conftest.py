"""Fixtures: every test works in its own folder, away from the user's studies.

They import what they need themselves, so that tests of rooms without torch do not load it.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import settings

os.environ.setdefault(
    "OMP_NUM_THREADS", "1"
)  # before torch is imported: small networks are slower on two threads

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell hides Ctrl-C from what it runs with &

from support.speed import make_fast_what_is_loaded

settings.register_profile("untimed", deadline=None)  # how long an example takes says most of the machine
settings.load_profile("untimed")

if TYPE_CHECKING:
    from skexplore.study.study import Study


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slow tests: at the end, one process would run them while the others have nothing to do."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "200")
    make_fast_what_is_loaded()


@pytest.fixture
def synthetic_data(tmp_path: Path) -> Path:
    """A tiny synthetic set in the cache's layout: 640 images of ten classes that differ in brightness."""
    folder = tmp_path / "synthetic"
    folder.mkdir()
    generator = np.random.default_rng(0)
    labels = np.arange(640, dtype=np.uint8) % 10
    noise = generator.integers(0, 40, size=(640, 3, 32, 32))
    images = (noise + 20 * labels[:, None, None, None]).astype(np.uint8)
    np.save(folder / "train_images.npy", images)
    np.save(folder / "train_labels.npy", labels)
    # no test files at all: whatever reads them fails
    return folder


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Run ``skexplore ARGS`` as typed; returns (exit code, stdout, stderr)."""
    from skexplore.cli.app import main

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["skexplore", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        code = ended.value.code
        return (0 if code is None else int(code)), out, err

    return run


@pytest.fixture
def noise_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the noise of the synthetic study known from before."""
    from support.studies import know_noise

    know_noise(monkeypatch)


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the profiles ``tiny`` and ``rungs`` (synthetic data) known by their names."""
    from support.instant import RUNGS, TINY

    from skexplore.study.recipe import PROFILES

    monkeypatch.setitem(PROFILES, "tiny", TINY)
    monkeypatch.setitem(PROFILES, "rungs", RUNGS)


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every rung stop trials, as one does that is known to say what the end will be."""
    monkeypatch.setattr("skexplore.engine.state.rung_tells", lambda *_: True)


@pytest.fixture
def run(monkeypatch, tiny, synthetic_data):
    """Search with instant trainings; returns the study. ``run.pool`` holds the last pool."""
    from support.instant import InstantPool

    from skexplore.engine import coordinator
    from skexplore.engine.run import search

    def go(answer=None, **changes) -> Study:
        def pool(devices, log):
            go.pool = InstantPool(devices, log, answer)
            return go.pool

        monkeypatch.setattr(coordinator, "Pool", pool)
        request = {"budget_gflops": 4.5, "profile": "tiny", "workers": 1, "trials": 6, "study": "s"}
        return search(**(request | {"data_folder": synthetic_data} | changes))

    return go
