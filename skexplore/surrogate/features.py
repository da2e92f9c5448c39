"""Blocks as numbers: what of a block may explain its error, one row for each block."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from skexplore.arch import Architecture, Branch, per_stage
from skexplore.space import Shape, in_shares, shape_of

Matrix = NDArray[np.float64]  # blocks x features


def shape(own: Architecture) -> Shape:
    """Return the shape of an architecture, blocks at the reference or in a body of their own."""
    body = own.backbone
    widths = [each[-1] for each in body.sk_widths]
    stages = zip(per_stage(own.blocks, len(widths)), widths, strict=True)
    found = (
        (in_shares(block.branches, body), block.dim(width) / width if block.selects else None)
        for block, width in stages
    )
    return shape_of(tuple(found), body)


def describe(shape: Shape) -> dict[str, float]:
    """Return the features of a block by their names, the mean over its stages.

    Branches by kernel and dilation, how many there are and how much they are grouped; the weights of all together, and
    of those that see more than one pixel; how many places an output pixel sees, and how wide that is: the first step
    beyond a single pixel tells more than any other; whether attention acts, and d. What is 0 is left out. Beside them
    how deep and how wide the body is, which says nothing where all have one.
    """
    found, stages = {"log2 units": shape.units, "log2 width": shape.width}, shape.stages
    for branches, share in stages:
        for name, value in _of_branches(branches).items():
            found[name] = found.get(name, 0.0) + value / len(stages)
        if share is not None:
            found["attention"] = found.get("attention", 0.0) + 1 / len(stages)
            # d of the paper's block is a sixteenth of the width
            found["log2 d"] = found.get("log2 d", 0.0) + math.log2(16 * share) / len(stages)
    return found


@lru_cache(maxsize=65536)
def _of_branches(branches: tuple[Branch, ...]) -> Mapping[str, float]:
    found = {"branches": float(len(branches))}
    for branch in branches:
        kind = f"k{branch.kernel}" + (f"d{branch.dilation}" if branch.dilation > 1 else "") + branch.act
        for name, value in ((kind, 1.0), ("log2 groups", math.log2(branch.groups / 32))):
            found[name] = found.get(name, 0.0) + value
    weights = [branch.kernel**2 / branch.groups for branch in branches]
    wide = [own for own, branch in zip(weights, branches, strict=True) if branch.kernel > 1]
    found["log2 weights"] = math.log2(sum(weights))
    found["log2 weights beyond a pixel"] = math.log2(1 + 64 * sum(wide))
    found["log2 places"] = math.log2(len(frozenset[tuple[int, int]]().union(*map(_places, branches))))
    found["1 / widest field"] = 1 / max(branch.receptive_field for branch in branches)
    return found


def _places(branch: Branch) -> set[tuple[int, int]]:
    """Return where the taps of a branch are, in pixels from the middle."""
    reach = branch.kernel // 2
    along = [branch.dilation * step for step in range(-reach, reach + 1)]
    return set(itertools.product(along, along))


class Scale:
    """Features of a population, each with mean 0 and standard deviation 1 over it.

    names: those that vary; of the others nothing can be said.
    """

    def __init__(self, population: Iterable[Shape]) -> None:
        described = [describe(each) for each in population]
        names = sorted({name for each in described for name in each})
        raw = _matrix(described, names)
        spread = raw.std(0) if described else np.empty(0)
        varies = spread > 1e-9
        self.names = [name for name, kept in zip(names, varies, strict=True) if kept]
        self._mean, self._spread = raw[:, varies].sum(0) / max(1, len(raw)), spread[varies]

    def rows(self, shapes: Iterable[Shape]) -> Matrix:
        """Return the features of architectures of these shapes, one row each."""
        found: Matrix = (_matrix([describe(each) for each in shapes], self.names) - self._mean) / self._spread
        return found


def _matrix(described: Sequence[Mapping[str, float]], names: Sequence[str]) -> Matrix:
    rows = [[each.get(name, 0.0) for name in names] for each in described]
    return np.array(rows, dtype=np.float64).reshape(len(described), len(names))
