"""Fixtures: every test works in its own folder, away from the user's studies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from skexplore.cli import main


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "200")


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

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["skexplore", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        code = ended.value.code
        return (0 if code is None else int(code)), out, err

    return run
