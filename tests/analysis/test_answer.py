"""What is believed of a search's blocks, where the truth is known: intervals, chances and sets keep their level."""

from __future__ import annotations

import itertools
import random
from functools import cache

import numpy as np
import pytest
from support.searches import searched

from skexplore.analysis.answer import trust
from skexplore.arch.architecture import Architecture
from skexplore.arch.limits import budget_bounds
from skexplore.arch.notation import format_blocks
from skexplore.space.candidates import Candidates
from skexplore.space.space import Space
from skexplore.study.belief import answered
from skexplore.surrogate.features import Scale, shape
from skexplore.surrogate.model import Model, Population
from skexplore.surrogate.prior import Prior

pytestmark = pytest.mark.slow  # a minute of simulated searches
SPREAD, NOISE, SEARCHES = 0.023, 0.004, 80


@cache
def candidates():
    return Candidates(Space.load("sk-paper"), budget_bounds(4.5, None))


@cache
def population():
    return Population(candidates())


def fresh():
    """A model without an error."""
    return Model(population(), Prior(sd=NOISE, df=24))


@cache
def names():
    space, forms = Space.load("sk-paper"), random.Random(0).sample(candidates().within, 300)
    drawn = [format_blocks(space.decode(candidates().levels(each))) for each in forms]
    return [*dict.fromkeys(["k3", "k3+k3d2", *drawn])]


def truths(generator, rows, kind):
    """True errors; kind: as the model thinks, with features that act in pairs, or half of each block its own."""
    pairs = np.array([a * b for a, b in itertools.combinations(rows.T, 2)]).T
    shares = {"linear": (0.9, 0, 0.1), "pairs": (0.6, 0.3, 0.1), "own": (0.5, 0, 0.5)}[kind]
    parts = rows, pairs / pairs.std(0), np.eye(len(rows))
    drawn = [
        np.sqrt(share / (1 if part is parts[2] else part.shape[1]))
        * part
        @ generator.standard_normal(part.shape[1])
        for share, part in zip(shares, parts, strict=True)
    ]
    return 0.36 + SPREAD * sum(drawn)


@pytest.fixture(scope="module", params=["linear", "pairs", "own"])
def searches(request):
    """Synthetic searches: what each says, and the true errors by block."""
    generator, found = np.random.default_rng(0), []
    rows = Scale(map(candidates().shape, candidates().within)).rows(
        [shape(Architecture.of(name)) for name in names()]
    )
    for _ in range(SEARCHES):
        true, model = truths(generator, rows, request.param), fresh()
        tried = [0, 1, *generator.choice(range(2, len(true)), 10, replace=False)]
        for at in tried:
            for seed in range(3 if at < 2 else 1):
                error = true[at] + NOISE * generator.standard_normal()
                model.learn(names()[at], error, f"{at}-{seed}")
        said = answered(model, {names()[at] for at in tried[2:]})
        found.append((said, trust(model), dict(zip(names(), true, strict=True))))
    return found


def test_ninety_percent_intervals_of_the_best_hold_its_true_error(searches):
    held = [said.best.low <= true[said.best.block] <= said.best.high for said, _, true in searches]
    assert np.mean(held) == pytest.approx(0.9, abs=0.08)
    everyone = [
        each.low <= true[each.block] <= each.high for said, _, true in searches for each in said.blocks
    ]
    assert np.mean(everyone) == pytest.approx(0.9, abs=0.03)


def test_the_error_of_the_best_is_not_too_low_by_selection(searches):
    off = [said.best.mean - true[said.best.block] for said, _, true in searches]
    assert np.mean(off) == pytest.approx(0, abs=0.001)


def test_the_set_that_may_be_best_holds_the_best(searches):
    hits = [
        min((each.block for each in said.blocks), key=true.get) in said.may_be_best
        for said, _, true in searches
    ]
    assert 0.92 <= np.mean(hits) <= 1


def test_chances_to_beat_the_papers_block_are_as_often_true(searches):
    pairs = [
        (e.beats_paper, true[e.block] < true["k3+k3d2"]) for said, _, true in searches for e in said.blocks
    ]
    for low, high in ((0, 0.2), (0.2, 0.8), (0.8, 1.01)):
        said, came = zip(*((p, hit) for p, hit in pairs if low <= p < high), strict=True)
        assert np.mean(came) == pytest.approx(
            np.mean(said), abs=0.12
        )  # a few dozen searches have one in a bin
    assert np.mean([hit for _, hit in pairs]) == pytest.approx(np.mean([p for p, _ in pairs]), abs=0.02)


def test_chances_to_be_best_add_up_to_one(searches):
    for said, _, _ in searches:
        assert sum(each.best for each in said.blocks) == pytest.approx(1)
        assert not any(each.best for each in said.anchors)


def test_what_was_left_out_is_foretold_as_well_as_it_says(searches):
    assert np.mean([trusted.coverage for _, trusted, _ in searches]) == pytest.approx(0.9, abs=0.05)
    assert np.mean([trusted.correlation for _, trusted, _ in searches]) > 0.1


def test_noise_alone_is_not_foretold():
    generator, found = np.random.default_rng(1), []
    for _ in range(30):
        model = fresh()
        for name in names()[:12]:
            model.learn(name, 0.36 + NOISE * generator.standard_normal(), name)
        found.append(trust(model).correlation)
    assert np.mean(found) < 0.15


def test_too_few_blocks_say_nothing():
    assert searched("short", 0.5, 0.4).answer is None
