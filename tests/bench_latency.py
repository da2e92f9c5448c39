"""How well latencies are measured beside trainings: repeats of some blocks, alone and beside busy processes.

Run it by hand on a machine that does nothing else: python tests/bench_latency.py --out reports/bench/latency.json
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import random
import statistics
from pathlib import Path

from skexplore.arch import Architecture, format_blocks
from skexplore.nn import LatencyMeter, environment, seeded_build
from skexplore.space import Candidates, Space


def busy() -> None:
    """Train for ever, on one thread, as a worker does."""
    import torch

    torch.set_num_threads(1)
    network = seeded_build("k3+k3d2", "4x4d-1111-c32", seed=0)
    images, step = torch.randn(64, 3, 32, 32), torch.optim.SGD(network.parameters(), lr=0.01)
    while True:
        step.zero_grad()
        network(images).square().mean().backward()
        step.step()


def measured(blocks: list[str], repeats: int) -> dict[str, list[float]]:
    """Return how many times as long as plain K3 each block takes, measured so often, in rounds."""
    meter = LatencyMeter(Architecture.of("k3"), device="cpu", batch=1, dtype="float32", threads=1)
    found: dict[str, list[float]] = {block: [] for block in blocks}
    for _ in range(repeats):
        for block in blocks:
            found[block].append(round(meter.times_known(Architecture.of(block)), 4))
    return found


def spread(found: dict[str, list[float]]) -> float:
    """Return the standard deviation between repeats, as a fraction."""
    return math.sqrt(statistics.mean(statistics.variance(map(math.log, own)) for own in found.values()))


def main() -> None:
    """Measure, print and keep."""
    options = argparse.ArgumentParser()
    options.add_argument("--blocks", type=int, default=8)
    options.add_argument("--repeats", type=int, default=3)
    options.add_argument("--busy", type=int, default=os.cpu_count())
    options.add_argument("--out", type=Path, required=True)
    given = options.parse_args()
    candidates, generator = Candidates(Space.load("sk-paper")), random.Random(0)
    drawn = (candidates.untried((), generator) for _ in range(given.blocks))
    blocks = [format_blocks(candidates.network(forms).blocks) for forms in drawn if forms is not None]
    alone = measured(blocks, given.repeats)
    spawn = multiprocessing.get_context("spawn")
    beside_these = [spawn.Process(target=busy, daemon=True) for _ in range(given.busy)]
    for process in beside_these:
        process.start()
    beside = measured(blocks, given.repeats)
    for process in beside_these:
        process.terminate()
    shifts = [math.log(statistics.mean(beside[each]) / statistics.mean(alone[each])) for each in blocks]
    content = {
        "environment": environment() | {"busy": given.busy},
        "alone": alone,
        "beside": beside,
        "spread_alone": round(spread(alone), 4),
        "spread_beside": round(spread(beside), 4),
        "shift": round(statistics.mean(shifts), 4),
        "largest_shift": round(max(map(abs, shifts)), 4),
    }
    given.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print({key: value for key, value in content.items() if not isinstance(value, dict)})


if __name__ == "__main__":
    main()
