"""What to read off a front: its knee. See ``noise`` for which of its points are distinguishable."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from skexplore.study import Record, Size, measured_error, pareto_front, reference_macs


def knee(
    records: Iterable[Record],
    size: Size = reference_macs,
    error_of: Callable[[Record], float] = measured_error,
) -> Record | None:
    """Return the knee of the front of ``records`` in (error, ``size``), None if it has none.

    Both axes are scaled to 0..1 between the ends of the front; the knee is the point farthest from the straight
    line between them, on the side of lower error and size. It is the point that Das ("On characterizing the
    'knee' of the Pareto curve based on normal-boundary intersection", 1999) defines, and what Kneedle (Satopää et
    al., 2011) looks for. A front of fewer than three distinct points has none, nor has one of which no point lies
    below the line. Of points equally far the smallest is returned. It depends on where the front ends: a wider
    budget can move it.
    """
    front = pareto_front((record for record in records if record.val_error is not None), size, error_of)
    places = [(size(record), error_of(record)) for record in front]
    if len(set(places)) < 3:
        return None
    (least, worst), (most, best) = places[0], places[-1]
    # over the scaled axes the line is x + y = 1
    depths = [1 - (x - least) / (most - least) - (y - best) / (worst - best) for x, y in places]
    depth = max(depths)
    return front[depths.index(depth)] if depth > 1e-9 else None
