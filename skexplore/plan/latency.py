"""How a search is asked to measure latencies, checked."""

from __future__ import annotations

import math
from dataclasses import replace

from skexplore.arch import Backbone, check_memory, cost
from skexplore.errors import UserError, check_one_of
from skexplore.study import LATENCY_DTYPES, LatencyTerms, paper_block


def latency_terms(
    limit_ms: float | None,
    *,
    device: str | None,
    batch: int | None,
    dtype: str | None,
    threads: int | None,
    reference: Backbone,
) -> LatencyTerms | None:
    """Return how latencies are measured at ``reference``, None where nothing asks for them; raises ``UserError``.

    limit_ms: milliseconds of a batch. None for ``cpu``, 1 image, float32, and on a CPU 1 thread.
    """
    if all(each is None for each in (limit_ms, device, batch, dtype, threads)):
        return None
    if limit_ms is not None and not (math.isfinite(limit_ms) and limit_ms > 0):
        raise UserError(f"--budget-latency-ms {limit_ms}: must be a positive number")
    numbers = dtype or "float32"
    check_one_of("--latency-dtype", numbers, LATENCY_DTYPES)
    for option, value in (("--latency-batch", batch), ("--latency-threads", threads)):
        if value is not None and value < 1:
            raise UserError(f"{option} {value}: must be at least 1")
    where, images = device or "cpu", batch or 1
    where = {"cpu:0": "cpu", "cuda": "cuda:0"}.get(where, where)  # one name for one device
    if where != "cpu":
        if threads is not None:
            raise UserError(
                f"--latency-threads {threads}: threads are a CPU's, and --latency-device is {where}"
            )
        return LatencyTerms(device=where, batch=images, dtype=numbers, threads=None)
    one = cost(paper_block(reference), reference)
    check_memory(
        replace(one, activations=images * one.activations), f"--latency-batch {images}", "give a smaller one"
    )
    return LatencyTerms(device=where, batch=images, dtype=numbers, threads=threads or 1)
