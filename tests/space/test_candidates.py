"""Draws of architectures, and what of a space is not tried yet: exact on spaces small enough to be written out."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given, settings, strategies as st
from scipy.stats import chisquare
from support.small_spaces import PAIR, conditioned_spaces, space

from skexplore.arch.architecture import Architecture
from skexplore.arch.costs import cost
from skexplore.arch.limits import budget_bounds
from skexplore.space import candidates as module
from skexplore.space.boxes import TooManyError
from skexplore.space.candidates import Candidates
from skexplore.space.size import cheapest
from skexplore.space.space import Space


def held(chosen: Space) -> set:
    """All blocks of a space, by brute force."""
    return {chosen.decode(point) for point in chosen.points()}


@settings(max_examples=30)
@given(conditioned_spaces(), st.integers(0, 2**32))
def test_what_is_drawn_is_in_the_space_and_the_generator_decides(chosen, seed):
    candidates = Candidates(chosen)
    levels = candidates.draw(random.Random(seed))
    assert chosen.decode(levels) in held(chosen)
    assert candidates.draw(random.Random(seed)) == levels


@pytest.mark.parametrize(
    "decisions",
    [
        # k3+k5 can be written in two ways, k3 in many, since r acts only where branches meet
        {"branches.1": ("k3", "k5"), "branches.2": ("none", "k3", "k5"), "reduction": (8, 16, 32)},
        # several boxes, some of them alike: r ties the stages and does not always act
        {"branches.2": ("none", "k3"), "stages.1.branches.2": ("none", "k5"), "reduction": (4, 32)},
    ],
)
def test_every_distinct_architecture_is_drawn_equally_often(decisions):
    chosen = space(decisions)
    draws, generator = Candidates(chosen), random.Random(0)
    blocks = held(chosen)
    times = 200 * len(blocks)
    counts = Counter(chosen.decode(draws.draw(generator)) for _ in range(times))
    assert set(counts) == blocks
    assert chisquare([counts[each] for each in blocks]).pvalue > 0.001
    naive = Counter(chosen.decode(chosen.sample(generator)) for _ in range(times))
    assert chisquare([naive[each] for each in blocks]).pvalue < 1e-6


@given(conditioned_spaces(), st.floats(3.5, 6))
def test_what_is_within_a_budget_is_what_brute_force_finds(chosen, gflops):
    bounds = budget_bounds(gflops, None)
    candidates = Candidates(chosen, bounds)
    within = {each for each in held(chosen) if cost(each).macs <= gflops * 1e9}
    assert {candidates.network(forms).blocks for forms in candidates.within} == within
    assert {candidates.forms_of(Architecture.of(each)) for each in within} == set(candidates.within)
    assert len(candidates.within) == len(within)


@pytest.mark.parametrize("written_out", [True, False])
def test_untried_ones_come_without_replacement_until_there_are_none(monkeypatch, written_out):
    monkeypatch.setattr(module, "WRITTEN_OUT", module.WRITTEN_OUT if written_out else 0)
    bounds = budget_bounds(5.0, None)
    candidates, tried = Candidates(PAIR, bounds), set()
    while (forms := candidates.untried(tried, random.Random(len(tried)))) is not None:
        assert forms not in tried
        tried.add(forms)
    within = {each for each in held(PAIR) if cost(each).macs <= 5e9}
    assert {PAIR.decode(candidates.levels(forms)) for forms in tried} == within
    assert (candidates.within is not None) == written_out


@pytest.mark.parametrize("gflops", [4.1, 4.3])
def test_draws_from_a_large_space_within_a_budget_are_uniform(monkeypatch, gflops):
    monkeypatch.setattr(module, "WRITTEN_OUT", 0)
    decisions = {f"stages.{stage}.branches.2": ("none", "k1", "k3", "k5") for stage in (1, 2, 3)}
    chosen = space({"branches.1": ("k1", "k3"), "reduction": (4, 32), **decisions})
    candidates, generator = Candidates(chosen, budget_bounds(gflops, None)), random.Random(0)
    within = {each for each in held(chosen) if cost(each).macs <= gflops * 1e9}
    counts = Counter(
        candidates.network(candidates.untried((), generator)).blocks for _ in range(200 * len(within))
    )
    assert set(counts) == within
    assert chisquare([*counts.values()]).pvalue > 0.001


def test_what_a_tight_budget_leaves_of_forty_million_architectures_is_written_out():
    candidates = Candidates(Space.load("sk-wide"), budget_bounds(4.03, None))
    names = {candidates.network(forms).blocks for forms in candidates.within}
    assert len(names) == len(candidates.within) > 100
    assert all(cost(blocks).macs <= 4.03e9 for blocks in names)
    assert cheapest(Space.load("sk-wide")).blocks in names


def test_each_untried_one_is_as_likely():
    candidates = Candidates(PAIR)
    tried = set(candidates.within[::3])
    left = [forms for forms in candidates.within if forms not in tried]
    generator = random.Random(0)
    counts = Counter(candidates.untried(tried, generator) for _ in range(200 * len(left)))
    assert set(counts) == set(left)
    assert chisquare([*counts.values()]).pvalue > 0.001


def test_a_space_too_large_to_be_taken_apart_is_none(monkeypatch):
    monkeypatch.setattr("skexplore.space.boxes.MANY", 1)
    with pytest.raises(TooManyError):
        Candidates(PAIR)
