"""What a study does, as runs of a tracker: one for each training, told when it has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from skexplore.engine import Fetch, Note, Progress
from skexplore.study import Record, study_folder
from skexplore.tracking.trackers import Tracker

COSTS = ("ref_params", "ref_macs", "proxy_params", "proxy_macs")


class StudyFollower:
    """Tells the tracker ``name`` of every training that ends, a study being the group of its runs."""

    def __init__(self, name: str, *, warn: Callable[[str], object]) -> None:
        self._name, self._warn = name, warn
        self._trackers: dict[str, Tracker] = {}

    def __call__(self, event: Progress | Fetch | Note) -> None:
        """Hear an event of a run of studies."""
        if (
            not isinstance(event, Progress)
            or event.kind != "end"
            or event.record is None
            or not event.record.curve
        ):
            return
        tracker = self._trackers.setdefault(
            event.study, Tracker(self._name, study_folder(event.study), event.study, warn=self._warn)
        )
        record = event.record
        with tracker.run(run_name(record), settings_of(record) | {"study": event.study}) as log:
            for epoch, values in values_of(record):
                log(epoch, values)


def run_name(record: Record) -> str:
    """Return the name of the run of a training."""
    trial = f"trial {record.number}" if record.origin == "search" else record.origin
    around = "" if record.plain else f" {record.setting.words}"
    return f"{trial}: {record.block}{around}, seed {record.seed}"


def settings_of(record: Record) -> dict[str, Any]:
    """Return what fixes a training, and its costs."""
    own = {"block": record.block, "arch_id": record.arch_id, "seed": record.seed, "origin": record.origin}
    return own | {"status": record.status} | {name: getattr(record, name) for name in COSTS}


def values_of(record: Record) -> Iterator[tuple[int, dict[str, float]]]:
    """Yield each epoch and what was measured after it; the test error of a finalist stands beside the last."""
    for epoch in record.curve:
        values = {"train_loss": epoch.train_loss, "val_loss": epoch.val_loss, "val_error": epoch.val_error}
        if epoch is record.curve[-1] and record.test_error is not None:
            values["test_error"] = record.test_error
        yield epoch.epoch, values
