"""Surveys of a space: counts checked by brute force, the cheapest block, and budgets."""

from __future__ import annotations

import itertools
import math
import statistics
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from support.small_spaces import PAIR, WIDTHS, space, spaces

from skexplore.arch.costs import cost
from skexplore.arch.limits import budget_bounds
from skexplore.arch.notation import SKBlock, parse_block
from skexplore.errors import UserError
from skexplore.space.size import _drawn, cheapest, check_budget, idle_budgets, summarise, wilson

# sk-paper with fewer levels, so that all of it can be counted here
REDUCED = {
    "branches.1": ("k1", "k3", "k3d2"),
    "branches.1.groups": (32, 128),
    "branches.2": ("none", "k1", "k3d2", "k7"),
    "branches.2.groups": (32, 128),
    "branches.3": ("none", "k3d3", "k7"),
    "reduction": (4, 16, 32),
    "min_dim": (16, 32),
    "fuse": ("select", "sum"),
}


# -- counts


def network_of(point: dict) -> tuple:
    """Return what tells networks of a space like sk-paper apart, without the notation's canonical form."""
    branches = []
    for number in (1, 2, 3):
        level = point.get(f"branches.{number}", "none")
        if level != "none":
            branches.append((level, point.get(f"branches.{number}.groups", 32)))
    if len(branches) == 1:
        attention: tuple = ()
    elif point["fuse"] == "sum":
        attention = ("sum",)
    else:
        attention = tuple(max(width // point["reduction"], point["min_dim"]) for width in WIDTHS)
    return tuple(sorted(branches)), attention


def block_of(point: dict) -> SKBlock:
    branches = []
    for number in (1, 2, 3):
        level = point.get(f"branches.{number}", "none")
        if level != "none":
            branches.append(f"{level}g{point.get(f'branches.{number}.groups', 32)}")
    knobs = f"/r{point['reduction']}/L{point['min_dim']}" + ("/sum" if point["fuse"] == "sum" else "")
    return parse_block("+".join(branches) + knobs)


@pytest.fixture(scope="module")
def counted() -> dict:
    """Return the cost of every distinct network of the reduced space, found by brute force."""
    points = [dict(zip(REDUCED, chosen, strict=True)) for chosen in itertools.product(*REDUCED.values())]
    return {network_of(point): cost(block_of(point)) for point in points}


def test_what_a_budget_leaves_of_a_large_space_is_counted(counted, monkeypatch):
    bounds = budget_bounds(4.2, None)
    feasible = sum(c.macs <= 4.2e9 for c in counted.values())
    monkeypatch.setattr("skexplore.space.size.ENUMERABLE", len(counted) // 2)
    found = summarise(space(REDUCED), bounds)
    assert (found.size, found.feasible, found.certain) == (len(counted), feasible, True)
    assert found.sampled
    assert found.feasible_share_low == found.feasible_share_high == feasible / len(counted)
    monkeypatch.setattr("skexplore.space.size.ENUMERABLE", 1)
    assert summarise(space(REDUCED), bounds).feasible_words.startswith("about ")


def test_a_space_is_counted_as_brute_force_counts_it(counted):
    max_macs, max_params = 4.5e9, 28.2e6
    macs, params = [c.macs for c in counted.values()], [c.params for c in counted.values()]
    found = summarise(space(REDUCED), budget_bounds(4.5, 28.2))
    feasible = sum(c.macs <= max_macs and c.params <= max_params for c in counted.values())
    assert 0 < feasible < len(counted)
    assert found.exact
    assert (found.size, found.feasible) == (len(counted), feasible)
    assert found.feasible_share == feasible / len(counted)
    assert (found.macs_min, found.macs_max) == (min(macs), max(macs))
    assert (found.params_min, found.params_max) == (min(params), max(params))
    assert found.macs_median == round(statistics.median(macs))
    assert found.params_median == round(statistics.median(params))
    assert found.cheapest == "k1g128"


def test_the_cheapest_block_is_the_minimum_of_the_whole_space(counted):
    own = cheapest(space(REDUCED)).cost()
    assert (own.macs, own.params) == min((c.macs, c.params) for c in counted.values())


@settings(max_examples=60)
@given(spaces())
def test_the_cheapest_block_is_the_minimum_of_any_space(given_space):
    own = cheapest(given_space).cost()
    costs = [cost(blocks) for blocks in {given_space.decode(point) for point in given_space.points()}]
    assert (own.macs, own.params) == min((c.macs, c.params) for c in costs)


@pytest.mark.parametrize(
    ("base", "decisions"),
    [
        # each of r and L hides the other: no step of one alone makes the block smaller
        ("k3+k3d2", {"stages.2.reduction": (4, 16), "stages.2.min_dim": (64, 16)}),
        # once the second branch is none, its groups and the fusion do nothing
        ("k3", {"branches.2": ("k3", "none"), "fuse": ("select", "sum"), "branches.2.groups": (4, 64)}),
    ],
)
def test_the_cheapest_block_is_found_where_one_decision_hides_another(base, decisions):
    given_space = space(decisions, base=base)
    costs = [cost(given_space.decode(point)) for point in given_space.points()]
    own = cheapest(given_space).cost()
    assert (own.macs, own.params) == min((c.macs, c.params) for c in costs)
    assert len({(c.macs, c.params) for c in costs}) > 1


# -- budgets


def test_a_budget_is_in_multiply_adds_and_parameters():
    limits = [(bound.name, bound.limit) for bound in check_budget(PAIR, 4.5, 30.0)]
    assert limits == [("gflops", 4.5e9), ("params", 30e6)]
    assert check_budget(PAIR, None, None) == ()


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf, -math.inf])
def test_a_budget_that_is_no_positive_number_is_refused(value):
    with pytest.raises(UserError, match=r"--budget-gflops .*: must be a positive number"):
        check_budget(PAIR, value, None)
    with pytest.raises(UserError, match=r"--budget-params .*: must be a positive number"):
        check_budget(PAIR, 4.5, value)


def test_a_budget_below_the_cheapest_block_names_that_block():
    with pytest.raises(
        UserError, match=r"--budget-gflops 4: the cheapest block of test, k3, needs 4\.230 GFLOPs"
    ):
        check_budget(PAIR, 4.0, None)
    with pytest.raises(
        UserError, match=r"--budget-params 25: the cheapest block of test, k3, needs 25\.03 M"
    ):
        check_budget(PAIR, 5.0, 25.0)


def test_a_budget_of_exactly_the_cheapest_block_is_allowed():
    gflops, params = check_budget(PAIR, 4.230479872, 25.028904)
    assert (gflops.limit, params.limit) == (4230479872, 25028904)
    with pytest.raises(UserError, match="cheapest block"):
        check_budget(PAIR, 4.230479871, 25.028904)


def test_a_budget_above_the_dearest_block_is_named_with_it():
    pair = space({"branches.1": ("k3", "k5"), "fuse": ("select", "sum")}, base="k3+k3d2")
    most = max((cost(pair.decode(point)) for point in pair.points()), key=lambda each: each.macs)
    gflops, params = most.macs / 1e9, most.params / 1e6
    assert idle_budgets(pair, gflops * 0.999, params * 0.999) == []
    assert idle_budgets(pair, None, None) == []
    said = idle_budgets(pair, 45.0, 300.0)
    says = "excludes nothing: the costliest block of test, k3d2+k5, has"
    assert said == [
        f"--budget-gflops 45 {says} {gflops:.3f} GFLOPs at the reference",
        f"--budget-params 300 {says} {params:.2f} M parameters at the reference",
    ]


@pytest.mark.parametrize(
    ("gflops", "params", "meant"),
    [
        (4800.0, None, "--budget-gflops 4.8"),
        (4.8e9, None, "--budget-gflops 4.8"),
        (None, 29.5e6, "--budget-params 29.5"),
        (45.0, 300.0, ""),
    ],
)
def test_a_budget_in_another_unit_is_named_in_ours(gflops, params, meant):
    pair = space({"branches.1": ("k3", "k5"), "fuse": ("select", "sum")}, base="k3+k3d2")
    for said in idle_budgets(pair, gflops, params):
        assert ("did you mean" in said) == bool(meant)
        assert said.endswith(f"; did you mean {meant}?" if meant else "at the reference")


def test_a_budget_that_nothing_keeps_may_have_been_in_another_unit_too():
    with pytest.raises(UserError, match=r"cheapest block of .*; did you mean --budget-gflops 4\.35\?$"):
        check_budget(PAIR, 0.00435, None)


def test_a_budget_above_a_band_excludes_nothing_beyond_it():
    banded = replace(PAIR, band_gflops=(None, 4.2))
    assert idle_budgets(banded, 4.3, None) == [
        "--budget-gflops 4.3 excludes nothing beyond the space's band, at most 4.2 GFLOPs"
    ]
    assert idle_budgets(banded, 4.1, None) == []


@pytest.mark.parametrize(
    ("hits", "draws", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_intervals_of_a_share_are_those_of_newcombes_table(hits, draws, low, high):
    """Newcombe 1998, Statistics in Medicine 17, Table I, method 3."""
    assert wilson(hits, draws) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize(("combinations", "total"), [(30, 50), (50, 30)])
def test_an_estimated_size_is_never_above_what_is_certain(monkeypatch, combinations, total):
    monkeypatch.setattr("skexplore.space.size.karp_luby", lambda *_: (70, 10, 90))
    union = SimpleNamespace(total=total, size=lambda: None, draw=lambda _: ((), 1), sizes=lambda _: (1, 1))
    found = _drawn(union, combinations)
    assert (found.size, found.estimate, found.low, found.high) == (30, 30, 10, 30)
