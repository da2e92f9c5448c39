"""How a search measures what its networks take, and where: latencies of other machines are another quantity."""

from __future__ import annotations

from dataclasses import dataclass, replace

from skexplore.words import counted

LATENCY_DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyTerms:
    """What is measured: a batch in evaluation mode, at the reference.

    device: ``cpu`` or a GPU such as ``cuda:0``; machine: its model, empty until the search begins. batch: images.
    dtype: one of ``LATENCY_DTYPES``. threads: of torch, None on a GPU. known_ms: what the batch takes in the reference
    with plain K3, in milliseconds, measured once, before the first training; others are measured as multiples of it.
    """

    device: str
    machine: str = ""
    batch: int
    dtype: str
    threads: int | None
    known_ms: float | None = None

    @property
    def words(self) -> str:
        """What is measured and where, in words."""
        threads = "" if self.threads is None else f", {counted(self.threads, 'thread')}"
        return f"batch of {self.batch}, {self.dtype}, {self.machine or self.device}{threads}"

    @property
    def same(self) -> LatencyTerms:
        """The terms alone, without what was measured: latencies are comparable where these are equal."""
        return replace(self, known_ms=None)


def latency_said(milliseconds: float) -> str:
    """Return a latency with its unit."""
    return f"{milliseconds:.4g} ms"
