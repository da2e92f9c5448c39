"""What a coordinator and its workers say to each other: plain data, pickled; no torch."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from skexplore.arch import Setting
from skexplore.study import Epoch, Recipe, Split, TrainSpec

PAUSE = "pause"  # a worker is to end its job after the epoch that is running


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A training to do: to epoch ``until``, with data from ``data_folder``, its files under ``study_folder``.

    test: whether the finished network is measured on the test set.
    """

    spec: TrainSpec
    until: int
    study_folder: str
    data_folder: str
    test: bool = False

    @property
    def checkpoint(self) -> Path:
        """Where the unfinished training is kept."""
        return checkpoint_file(Path(self.study_folder), self.spec.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochEvent:
    """A worker finished an epoch of the training ``key``."""

    key: str
    epoch: Epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a job ended. status: ``complete``, ``paused`` (told to end early), ``diverged`` or ``failed``.

    test_right: which images of the test set it got right, by ``study.pack``. weights_sha256: of the file of weights
    that the last segment left, empty before. device: what it was trained on.
    """

    key: str
    status: str
    curve: tuple[Epoch, ...] = ()
    reason: str = ""
    test_error: float | None = None
    test_right: str = ""
    weights_sha256: str = ""
    device: str = ""


# A worker has loaded torch and takes jobs, of classes with these fields: they are pickled by their order alone, and
# code that was changed on disk while a search runs would take one for another.
READY = {
    kind.__name__: [each.name for each in fields(kind)]
    for kind in (Job, EpochEvent, Outcome, Epoch, TrainSpec, Recipe, Split, Setting)
}


class WorkerError(RuntimeError):
    """Workers cannot work here (disk full, data gone, torch does not start): no trial could do better."""


def checkpoint_file(study_folder: Path, key: str) -> Path:
    """Return where a study keeps the checkpoint of an unfinished training."""
    return study_folder / "checkpoints" / f"{key}.pt"


def weights_file(study_folder: Path, key: str) -> Path:
    """Return where a study keeps the weights of the measurement ``key`` (see ``TrainSpec.key``)."""
    return study_folder / "weights" / f"{key}.safetensors"
