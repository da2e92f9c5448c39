"""What the networks of a search take on this machine, measured beside its trainings."""

from __future__ import annotations

from dataclasses import replace

from skexplore.arch import Architecture
from skexplore.nn import LatencyMeter
from skexplore.study import PLAIN_BLOCK, LatencyTerms, StudySpec


class Latencies:
    """Measures networks as a study's terms say: as multiples of the reference with plain K3, measured once, alone."""

    def __init__(self, spec: StudySpec, terms: LatencyTerms) -> None:
        self._meter = LatencyMeter(
            spec.at_reference(PLAIN_BLOCK),
            device=terms.device,
            batch=terms.batch,
            dtype=terms.dtype,
            threads=terms.threads,
        )
        self._known_ms: float | None = None
        self.terms = replace(terms, machine=self._meter.machine)

    def begin(self, before: StudySpec | None) -> LatencyTerms:
        """Return the terms with what the known network takes: as it was measured when the study began, or now."""
        known = before.latency.known_ms if before and before.latency else None
        self._known_ms = self._meter.known_ms() if known is None else known
        return replace(self.terms, known_ms=self._known_ms)

    def measure(self, architecture: Architecture) -> float:
        """Return what a batch takes in the network of ``architecture``, in milliseconds."""
        assert self._known_ms is not None
        return self._known_ms * self._meter.times_known(architecture)
