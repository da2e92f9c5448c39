"""Searches played in worlds of plainer features than those of the model, which is not right there.

The features are kernels, how many branches there are, their groups, attention and d alone; what output pixels see and
how many weights there are, which the model knows of too, vary only with these.

    python tests/bench_worlds.py --out reports/bench/worlds.json
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from skexplore.bench import Recorded, judge
from skexplore.study import new_model, read_table
from skexplore.surrogate import Worlds

PLAIN = ("k1", "k3", "k5", "k7", "k3d2", "k3d3", "branches", "log2 groups", "attention", "log2 d")


class Plainer(Recorded):
    """The recorded table, with worlds of the ``PLAIN`` features."""

    def __init__(self) -> None:
        table = read_table(["sk-table", "sk-table-best"])
        super().__init__(table)
        population = new_model(table.spec).population
        columns = [at for at, name in enumerate(population.scale.names) if name in PLAIN]
        place = {name: at for at, name in enumerate(self.names)}
        errors = [[*self.errors[name].values()] for name in self.errors]
        self._worlds = Worlds(
            population.rows(self.names)[:, columns],
            np.array([place[name] for name in self.errors]),
            np.array([np.mean(each) for each in errors]),
            np.array([len(each) for each in errors]),
            self.noise.sd,
        )


def main() -> None:
    """Play, print, and write what was judged."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=200)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    recorded = Plainer()
    found = judge(
        recorded, trials=10, replicates=2, repeats=given.repeats, seed=5000, names=["model", "random"]
    )
    text = json.dumps({"kernel": asdict(recorded.kernel), "verdicts": [asdict(each) for each in found]})
    given.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
