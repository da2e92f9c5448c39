"""The census of a space against brute force: every point decoded, equal architectures counted once."""

from __future__ import annotations

import itertools
import math
import random
import statistics
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st
from support.small_spaces import PAIR, conditioned_spaces, space

import skexplore.space.union as union_module
from skexplore.arch.costs import cost
from skexplore.arch.limits import Sizes, band_bounds, budget_bounds
from skexplore.arch.notation import parse_block
from skexplore.errors import UserError
from skexplore.space import boxes as census, size as survey
from skexplore.space.boxes import Layout, TooManyError, box_size, enumerate_costs
from skexplore.space.decisions import Condition, resolved
from skexplore.space.space import Space
from skexplore.space.union import Union

STAGES = (1, 2, 3, 4)
# the tied branch and r make stages depend on each other; boxes overlap, because one branch hides r
FREE = space(
    {
        "branches.1": ("k1", "k3", "k5"),
        "reduction": (2, 16),
        **{f"stages.{stage}.branches.2": ("none", "k1", "k3", "k5") for stage in STAGES},
    }
)
# five boxes, one for each r, share what has no second branch in stage 4
OVERLAP = space(
    {
        "reduction": (1, 2, 4, 8, 16),
        "stages.4.branches.2": ("none", "k3", "k5"),
        "stages.1.branches.1": ("k1", "k3", "k5", "k7"),
        "stages.2.branches.1": ("k1", "k3", "k5", "k7"),
    }
)


def brute_force(given_space: Space) -> dict:
    """Return what every distinct architecture costs."""
    found = {given_space.decode(point) for point in given_space.points()}
    return {blocks: sizes(cost(blocks)) for blocks in found}


def sizes(own):
    return Sizes(own.macs, own.params, own.activations)


@settings(max_examples=150)
@given(conditioned_spaces())
def test_counts_and_costs_are_those_of_every_point_decoded(given_space):
    costs = list(brute_force(given_space).values())
    macs, params, _ = zip(*costs, strict=True)
    assert Counter(enumerate_costs(Layout(given_space).boxes())) == Counter(costs)
    found = survey.summarise(given_space)
    assert found.exact
    assert found.size == found.size_estimate == found.size_low == found.size_high == len(costs)
    assert (found.macs_min, found.macs_max) == (min(macs), max(macs))
    assert (found.params_min, found.params_max) == (min(params), max(params))
    assert found.macs_median == round(statistics.median(macs))
    assert (found.feasible, found.feasible_share, found.sampled) == (len(costs), 1.0, 0)
    assert found.ruled_out == {}


@pytest.mark.parametrize("stages", [(1, 2, 3), (2, 4), STAGES])
@pytest.mark.parametrize("tied", ["branches.1", "stages.*.branches.1"])
def test_a_tied_decision_counts_only_where_no_stage_decides_for_itself(stages, tied):
    given_space = space(
        {
            tied: ("k1", "k3", "k5", "k7"),
            **{f"stages.{stage}.branches.1": ("k3", "k5") for stage in stages},
            "stages.2.branches.1.groups": (32, 64),
        },
        base="k3+k3d2",
    )
    true = brute_force(given_space)
    assert len(true) == 2 ** len(stages) * 2 * (4 if len(stages) < 4 else 1)
    found = survey.summarise(given_space, budget_bounds(4.6, None))
    assert (found.exact, found.size) == (True, len(true))
    assert found.feasible == sum(own[0] <= 4.6e9 for own in true.values()) > 0


def test_dilations_of_a_1x1_kernel_are_one_branch():
    given_space = space({"branches.1": ("k1", "k1d2", "k1d3g64"), "branches.2": ("none", "k1d4")})
    assert survey.summarise(given_space).size == len(brute_force(given_space)) == 4


@settings(max_examples=100)
@given(conditioned_spaces())
def test_the_overlaps_of_boxes_are_counted_without_enumeration(given_space):
    union = Union(Layout(given_space).boxes())
    assert union.size() == len(brute_force(given_space)) <= union.total


@st.composite
def bounded(draw) -> tuple[Space, tuple]:
    """Return a space and limits somewhere between its cheapest and costliest block."""
    given_space = draw(conditioned_spaces())
    macs = sorted({each[0] for each in brute_force(given_space).values()})
    params = sorted({each[1] for each in brute_force(given_space).values()})
    low, high = sorted(draw(st.lists(st.sampled_from(macs), min_size=2, max_size=2)))
    band = (low / 1e9 if draw(st.booleans()) else None, None)
    budget = budget_bounds(high / 1e9, draw(st.sampled_from([None, params[-1] / 1e6, params[0] / 1e6])))
    return given_space, budget + band_bounds(band, (None, None))


@settings(max_examples=150)
@given(bounded())
def test_feasible_and_ruled_out_are_those_of_every_point_decoded(case):
    given_space, bounds = case
    keeps = {
        blocks: all(bound.keeps(own) for bound in bounds) for blocks, own in brute_force(given_space).items()
    }
    seen: set = set()
    possible: set = set()
    for point in given_space.points():
        used = set(resolved(given_space.conditions, point).items())
        seen |= used
        if keeps[given_space.decode(point)]:
            possible |= used
    found = survey.summarise(given_space, bounds)
    assert found.feasible == sum(keeps.values())
    assert {(path, level) for path, gone in found.ruled_out.items() for level in gone} == seen - possible


@settings(max_examples=100)
@given(bounded())
def test_a_budget_is_refused_exactly_if_no_block_keeps_it(case):
    given_space, bounds = case
    by_name = {bound.name: bound.limit for bound in bounds}
    low = by_name["gflops_low"] / 1e9 if "gflops_low" in by_name else None
    banded = replace(given_space, band_gflops=(low, None))
    params = by_name["params"] / 1e6 if "params" in by_name else None
    fits = any(all(bound.keeps(own) for bound in bounds) for own in brute_force(given_space).values())
    if fits:
        survey.check_budget(banded, by_name["gflops"] / 1e9, params)
    else:
        with pytest.raises(UserError, match=r"budget|constraints"):
            survey.check_budget(banded, by_name["gflops"] / 1e9, params)


# -- too large to enumerate


def test_draws_of_a_union_are_uniform_and_say_how_many_boxes_hold_them():
    boxes = Layout(FREE).boxes()
    union, generator = Union(boxes), random.Random(1)
    held = {
        forms: sum(
            all(form in set(part.forms()) for form, part in zip(forms, box, strict=True)) for box in boxes
        )
        for forms, _ in (union.draw(generator) for _ in range(50))
    }
    again = random.Random(1)
    assert all(held[forms] == holders for forms, holders in (union.draw(again) for _ in range(50)))
    assert max(held.values()) > 1
    small = space(
        {"branches.1": ("k1", "k3"), "stages.2.branches.2": ("none", "k1", "k3"), "fuse": ("select", "sum")}
    )
    union, kept = Union(Layout(small).boxes()), Counter()
    assert union.total > union.size()
    while kept.total() < 20_000:
        forms, holders = union.draw(generator)
        if generator.randrange(holders) == 0:
            kept[forms] += 1
    assert len(kept) == len(brute_force(small))
    expected = 20_000 / len(kept)  # 5.5 standard deviations, so that chance does not fail it
    assert all(abs(count - expected) < 5.5 * math.sqrt(expected) for count in kept.values())


def test_costs_of_drawn_architectures_are_those_of_the_closed_form():
    union, generator = Union(Layout(FREE).boxes()), random.Random(0)
    known = set(enumerate_costs(Layout(FREE).boxes()))
    assert {union.sizes(union.draw(generator)[0]) for _ in range(200)} <= known


def test_the_interval_of_the_estimate_covers_the_true_size():
    union, true = Union(Layout(OVERLAP).boxes()), len(brute_force(OVERLAP))
    assert union.total > 1.3 * true
    covered, estimates = 0, []
    for seed in range(100):
        generator = random.Random(seed)
        weights = [survey.Fraction(1, union.draw(generator)[1]) for _ in range(500)]
        estimate, low, high = survey.karp_luby(union, weights)
        assert low <= estimate <= high <= union.total
        assert low >= max(map(box_size, union.boxes))
        covered += low <= true <= high
        estimates.append(estimate)
    assert covered >= 93
    assert abs(statistics.mean(estimates) / true - 1) < 0.01


@pytest.fixture
def nothing_enumerable(monkeypatch):
    monkeypatch.setattr(survey, "ENUMERABLE", 10)


def test_a_space_too_large_to_enumerate_is_counted_exactly_and_its_costs_sampled(nothing_enumerable):
    bounds = budget_bounds(4.6, None)
    true = brute_force(FREE)
    share = sum(own[0] <= 4.6e9 for own in true.values()) / len(true)
    found = survey.summarise(FREE, bounds)
    assert (found.exact, found.size, found.sampled) == (True, len(true), survey.SAMPLES)
    assert found.feasible_share_low < found.feasible_share < found.feasible_share_high
    assert found.feasible_share_low <= share <= found.feasible_share_high
    assert found.feasible == round(len(true) * found.feasible_share)
    assert found.macs_median == pytest.approx(statistics.median(own[0] for own in true.values()), rel=5e-3)
    assert found.macs_max == max(own[0] for own in true.values())


def test_without_limits_a_sample_leaves_no_doubt_that_all_is_feasible(nothing_enumerable):
    found = survey.summarise(FREE)
    assert (found.feasible_share_low, found.feasible_share, found.feasible_share_high) == (1.0, 1.0, 1.0)
    assert found.feasible == found.size


def test_boxes_that_overlap_in_too_many_ways_are_estimated(nothing_enumerable, monkeypatch):
    monkeypatch.setattr(union_module, "MANY_STEPS", 1)
    true = len(brute_force(FREE))
    found = survey.summarise(FREE, budget_bounds(4.6, None))
    assert not found.exact
    assert found.size == min(FREE.raw_size, Union(Layout(FREE).boxes()).total) > true
    assert found.size_low <= true <= found.size_high
    assert found.size_low < found.size_estimate < found.size
    assert found.feasible == round(found.size_estimate * found.feasible_share)


def test_the_last_resort_gives_bounds_that_are_certain(monkeypatch):
    monkeypatch.setattr(survey, "Layout", _Unboxed)
    true = len(brute_force(FREE))
    found = survey.summarise(FREE, budget_bounds(4.6, None))
    assert found.combinations
    assert not found.exact
    assert found.size_low <= true <= found.size == found.size_high == FREE.raw_size


class _Unboxed(Layout):
    def boxes(self):
        raise TooManyError


def test_a_space_of_ten_to_the_56_combinations_is_surveyed(monkeypatch):
    monkeypatch.setattr(survey, "SAMPLES", 200)
    monkeypatch.setattr(census, "MANY", 10_000)
    paths = {
        f"branches.{n}": tuple(f"k{k}d{d}" for k in (3, 5, 7, 9) for d in range(1, 16)) for n in range(1, 9)
    }
    huge = space({f"stages.{stage}.{path}": levels for stage in STAGES for path, levels in paths.items()})
    found = survey.summarise(huge, budget_bounds(20.0, None))
    assert found.size == huge.raw_size == 60**32
    assert found.combinations
    assert found.cheapest == "k3+k3+k3+k3+k3+k3+k3+k3"


# -- shares


@pytest.mark.parametrize(("hits", "draws"), [(0, 20), (3, 20), (10, 20), (20, 20), (5000, 20_000)])
def test_the_interval_of_a_share_solves_wilsons_equation(hits, draws):
    """Each end p is where the score |hits/draws - p| / sqrt(p (1 - p) / draws) is the 97.5 % quantile."""
    for end in survey.wilson(hits, draws):
        deviation = abs(hits / draws - end)
        assert deviation == pytest.approx(1.959964 * math.sqrt(end * (1 - end) / draws), abs=1e-6)


# -- bands


def test_a_band_and_a_budget_that_exclude_each_other_are_named():
    banded = replace(PAIR, band_gflops=(4.4, None))
    with pytest.raises(
        UserError, match=r"--budget-gflops 4\.3: excludes the space's band, at least 4\.4 GFLOPs"
    ):
        survey.check_budget(banded, 4.3, None)


def test_a_band_outside_the_space_is_named_with_the_block_that_comes_nearest():
    with pytest.raises(
        UserError,
        match=r"constraints\.gflops, at most 4 GFLOPs: the cheapest block of test, k3, needs 4\.230",
    ):
        survey.check_budget(replace(PAIR, band_gflops=(None, 4.0)), None, None)
    with pytest.raises(
        UserError,
        match=r"constraints\.params_m, at least 90 M parameters: the costliest block of test, k3\+k3d2/r4, has only",
    ):
        survey.check_budget(replace(PAIR, band_params_m=(90, None)), 4.5, None)


def test_a_band_in_a_gap_between_blocks_is_refused():
    sizes = sorted(own[0] for own in brute_force(PAIR).values())
    wide, low, high = max((b - a, a, b) for a, b in itertools.pairwise(sizes))
    assert wide > 3
    band = ((low + 1) / 1e9, (high - 1) / 1e9)
    with pytest.raises(UserError, match="no block of test keeps all of"):
        survey.check_budget(replace(PAIR, band_gflops=band), None, None)


def test_the_cheapest_block_is_what_the_conditions_leave():
    condition = Condition(when={"branches.2": ("none",)}, then={"branches.2": "k1"})
    given_space = replace(PAIR, conditions=(condition,))
    own = survey.cheapest(given_space).cost()
    assert sizes(own) == min(brute_force(given_space).values())
    assert len(survey.cheapest(given_space).blocks[0].branches) == 2


@given(conditioned_spaces())
@settings(max_examples=25)
def test_a_part_holds_what_it_lists_and_nothing_of_another_branch(given_space):
    for box in Layout(given_space).boxes():
        for part in box:
            listed = list(itertools.islice(part.forms(), 60))
            assert all(form in part for form in listed)
            foreign = parse_block("k31").branches
            assert (foreign, ()) not in part
