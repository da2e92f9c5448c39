"""A synthetic table in a small space: its errors are analytic ones and made-up noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from support.small_spaces import space
from support.studies import record

from skexplore.arch import parse_blocks
from skexplore.bench.landscape import distinct, within
from skexplore.bench.objectives import OBJECTIVES
from skexplore.plan import Request, plan_search
from skexplore.study import Table

NOISE = 0.004
FEW = space(
    {
        "branches.1": ("k1", "k3", "k3d2", "k5"),
        "branches.1.groups": (32, 64),
        "branches.2": ("none", "k1", "k3", "k3d3"),
        "branches.2.groups": (32, 128),
        "reduction": (8, 16),
        "fuse": ("select", "sum"),
    },
    name="few",
)


def small_table() -> Table:
    """Forty blocks of the space and two that it does not hold; the first five have four seeds."""
    spec = plan_search(Request(space=FEW, budget_gflops=4.4, profile="quick", study="few")).spec
    inside, generator = sorted(within(distinct(FEW), spec)), np.random.default_rng(0)
    names = ["k3+k3d2", "k3", *generator.permutation(inside)[:40].tolist()]
    records = []
    for at, name in enumerate(dict.fromkeys(names)):
        true = OBJECTIVES["mixed"](parse_blocks(name))
        for seed in range(4 if at < 5 else 1):
            error = true + NOISE * generator.standard_normal()
            records.append(record(len(records), name, "complete", error, 1, seed=seed))
    return Table(spec=replace(spec, name="synthetic"), records=tuple(records))
