"""Which blocks may be fast enough, by the latencies of some: judged on a known one."""

from __future__ import annotations

import random

import numpy as np
import pytest

from skexplore.arch.costs import cost
from skexplore.arch.notation import format_blocks
from skexplore.space.candidates import Candidates
from skexplore.space.space import Space
from skexplore.surrogate.latency import LEAST, LatencyModel
from skexplore.surrogate.model import Population


@pytest.fixture(scope="module")
def population():
    return Population(Candidates(Space.load("sk-paper")))


def milliseconds(block: str) -> float:
    """A known latency: some for each multiply-add, some for each activation."""
    own = cost(block)
    return own.macs / 1e8 + own.activations / 4e5


@pytest.mark.parametrize("noise", [0.0, 0.04])
def test_most_of_what_is_too_slow_is_known_after_some_latencies(population, noise):
    candidates, generator = population.candidates, random.Random(1)
    forms = generator.sample(candidates.within, 200)
    blocks = [format_blocks(candidates.network(each).blocks) for each in forms]
    truth = np.array([milliseconds(each) for each in blocks])
    limit = float(np.median(truth))
    believed = LatencyModel(population, limit)
    for own, true in list(zip(blocks, truth, strict=True))[:20]:
        believed.learn(own, true * np.exp(generator.gauss(0, noise)))
    said, keeps = believed.may_keep(population.rows(blocks[20:])), truth[20:] <= limit
    assert said[keeps].mean() > 0.9  # hardly anything that is fast enough is put off
    assert said[~keeps].mean() < 0.35  # and most of the rest is


def test_little_known_is_no_judgement(population):
    believed = LatencyModel(population, limit_ms=1.0)
    found = map(population.candidates.network, population.candidates.within[: LEAST + 5])
    blocks = [format_blocks(own.blocks) for own in found]
    for own in blocks[: LEAST - 1]:
        believed.learn(own, 100.0)
        believed.learn(own, 100.0)  # again: it is one latency
    assert believed.may_keep(population.rows(blocks)).all()
    believed.learn(blocks[-1], 100.0)
    assert not believed.may_keep(population.rows(blocks)).any()
