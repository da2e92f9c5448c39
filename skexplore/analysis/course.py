"""The course of a search: what it would have named after so many images, and how low that block's error was thought.

Errors are fractions 0..1, GFLOPs are at the reference. Infinity stands for an error that is not there yet.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import pandas as pd

from skexplore.study import Estimate, Record, Study, estimates_of, new_model, pareto_front, tell

MOMENTS = 50  # of a course: for each the model is asked anew
INCUMBENT_COLUMNS = ("position", "number", "images", "trained", "seconds", "val_error", "best_val_error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A search when ``ended`` of its trials and replicates had ended, after so many images.

    front: (estimated error, GFLOPs) of its Pareto front by what was known then.
    """

    ended: int
    images: int
    front: tuple[tuple[float, float], ...]

    @property
    def best(self) -> float:
        """The estimated error of the block that the search would have named."""
        return min((error for error, _ in self.front), default=math.inf)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The moments of a search, the last one when all had ended."""

    moments: tuple[Moment, ...]

    @property
    def total(self) -> int:
        """Images that the search trained on."""
        return self.moments[-1].images

    def at(self, images: int) -> Moment:
        """Return the search after so many images."""
        passed = bisect_right(self.moments, images, key=lambda moment: moment.images)
        return self.moments[passed - 1] if passed else Moment(ended=0, images=0, front=())


def ended(study: Study) -> tuple[Record, ...]:
    """Return the trials of a search that have ended, then its replicates, each in the order of their numbers."""
    over = [record for record in (*study.searched, *study.replicates) if record.status != "running"]
    return tuple(sorted(over, key=lambda record: (record.beside, record.number)))


def course(study: Study, also: Collection[int] = ()) -> Course:
    """Return the course of a search, of which at least one trial has ended; ``also``: images to stop at.

    When a training ended is not on record: trials count in the order of their numbers and replicates after them, each
    with all its images when it ends, stopped and failed ones too. Replays and refused proposals cost nothing. The
    images of anchors do not count, but what their errors say of other blocks does, from the beginning.
    """
    records = ended(study)
    images = [*accumulate(record.images for record in records)]
    told = [at for at, record in enumerate(records, start=1) if record.images or record.status == "complete"]
    model = new_model(study.spec) if study.spec.searches else None
    eligible = {record.number for record in study.eligible()}
    first = next(
        (at for at, record in enumerate(records, start=1) if not record.beside and record.number in eligible),
        len(records),
    )
    stops = {first, *_spread(told, MOMENTS), *(bisect_right(images, each) for each in also), len(records)}
    if model is not None:
        tell(model, study.anchors)
    moments, begin = [], 0
    for stop in sorted(stops - {0}):
        if model is not None:
            tell(model, records[begin:stop])
        begin = stop
        known = estimates_of(model, (*study.anchors, *records[:stop]))
        named = [r for r in records[:stop] if not r.beside and r.number in eligible]
        moments.append(Moment(ended=stop, images=images[stop - 1], front=_front(named, known)))
    return Course(moments=tuple(moments))


def _front(named: Sequence[Record], known: Mapping[str, Estimate]) -> tuple[tuple[float, float], ...]:
    def error(record: Record) -> float:
        return known[record.block].estimate

    return tuple((error(record), record.ref_macs / 1e9) for record in pareto_front(named, error_of=error))


def _spread(places: Sequence[int], most: int) -> set[int]:
    """Return at most so many of ``places``, evenly spread, the last one too."""
    return (
        {places[(at + 1) * len(places) // most - 1] for at in range(most)}
        if len(places) > most
        else {*places}
    )


def incumbent(study: Study) -> pd.DataFrame:
    """Return what the search would have named after each of its trainings, replicates too, over images and trainings.

    position: that of the record in the study. ``best_val_error`` is the estimated error of that block, empty as long as
    nothing feasible is complete; of a long search it is asked for at ``MOMENTS`` moments, and stays between them.
    Anchors' images are not counted.
    """
    places = {id(record): position for position, record in enumerate(study.records)}
    records, moments = ended(study), [*course(study).moments] if ended(study) else []
    rows: list[dict[str, Any]] = []
    images, seconds, best = 0, 0.0, math.nan
    for at, record in enumerate(records, start=1):
        images, seconds = images + record.images, seconds + record.seconds
        if moments and moments[0].ended == at:
            best = moments.pop(0).best
        if record.images:
            rows.append(
                {
                    "position": places[id(record)],
                    "number": record.number,
                    "images": images,
                    "trained": len(rows) + 1,
                }
                | {"seconds": seconds, "val_error": record.val_error}
                | {"best_val_error": best if math.isfinite(best) else None}
            )
    table = pd.DataFrame(rows, columns=pd.Index(INCUMBENT_COLUMNS))
    table["number"] = table["number"].astype("Int64")
    return table.astype({"val_error": "float64", "best_val_error": "float64"})
