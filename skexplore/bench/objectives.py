"""Analytic errors: fixed, deterministic, plausible, and of no network that was trained."""

from __future__ import annotations

import hashlib
import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass

from skexplore.arch import REFERENCE, Blocks, SKBlock, arch_id, cost, per_stage


def _mixed(block: SKBlock, width: int) -> float:
    """Fields of 5 to 7 pixels, kernels that differ, attention of a middling d, groups of at least 4 channels."""
    field = max(branch.receptive_field for branch in block.branches)
    kinds = len({(branch.kernel, branch.dilation) for branch in block.branches})
    thin = statistics.mean(max(0.0, math.log2(4 * b.groups / width)) for b in block.branches)
    error = 0.30 + 0.030 * abs(math.log2(field / 6)) - 0.010 * (kinds - 1) + 0.012 * thin
    if block.selects:
        error += 0.005 * abs(math.log2(block.dim(width) * 8 / width)) - 0.020
    return error


def _layered(block: SKBlock, width: int) -> float:
    """A 3x3 beside one larger field, true kernels before dilated ones, attention only if three branches meet."""
    fields = {branch.receptive_field for branch in block.branches}
    error = 0.40 - 0.025 * (3 in fields) - 0.030 * (max(fields) == 7) - 0.015 * (max(fields) == 5)
    error += 0.010 * statistics.mean(math.log2(branch.dilation) for branch in block.branches)
    error += 0.008 * abs(len(block.branches) - 2)
    error += 0.010 * statistics.mean(abs(math.log2(branch.groups / 64)) for branch in block.branches)
    if block.selects:
        error += 0.010 - 0.030 * (len(block.branches) == 3) + 0.003 * abs(math.log2(block.dim(width) / 64))
    return error


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """An analytic error made from what a block is.

    It is the mean of ``of_stage`` over the four stages, less ``capacity`` for each doubling of multiply-adds (so
    that a budget binds), and a part between -``rugged`` and ``rugged`` hashed from the identity of the block (so
    that neighbours differ).
    """

    of_stage: Callable[[SKBlock, int], float]
    capacity: float
    rugged: float

    def __call__(self, blocks: Blocks) -> float:
        """Return the error of canonical ``blocks``, a fraction."""
        stages = per_stage(blocks, len(REFERENCE.stages))
        smooth = statistics.fmean(map(self.of_stage, stages, REFERENCE.widths))
        digest = hashlib.sha256(arch_id(blocks).encode()).digest()
        rough = 2 * int.from_bytes(digest[:8], "big") / 2**64 - 1
        return smooth - self.capacity * math.log2(cost(blocks).macs / 4e9) + self.rugged * rough


OBJECTIVES = {
    "mixed": Objective(of_stage=_mixed, capacity=0.010, rugged=0.006),
    "layered": Objective(of_stage=_layered, capacity=0.015, rugged=0.010),
}
