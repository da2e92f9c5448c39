"""Importances of decisions: known answers on real small spaces, and what must not take credit."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from support.small_spaces import conditioned_spaces, space
from support.studies import record, synthetic

from skexplore.analysis import importance
from skexplore.analysis.importance import LEAST, acting, importances
from skexplore.arch.notation import format_blocks
from skexplore.space.decisions import Condition
from skexplore.space.space import Space

KNOBS = space(
    {
        "branches.1": ("k1", "k3", "k5"),
        "branches.2": ("k3d2", "k5", "k7"),
        "reduction": (4, 16, 32, 64),
        "min_dim": (8, 32, 128),
        "fuse": ("select", "sum"),
    }
)


def study_of(chosen: Space, error, count: int, *, seed: int = 0, sampler: str = "random", **changes):
    """Return a study of ``count`` random points of ``chosen``, ``error(levels, blocks)`` and a little noise."""
    generator, kept = random.Random(seed), {}
    records = []
    for number in range(count):
        levels = chosen.sample(generator)
        blocks = chosen.decode(levels)
        block = format_blocks(blocks)
        value = error(levels, blocks) + 0.01 * generator.random()
        kept[block] = kept.get(block) or record(number, block, "complete", 0.5, 6, sampler=sampler)
        records.append(replace(kept[block], number=number, val_error=value, curve=()))
    study = synthetic(records=tuple(records), target=count)
    spec = replace(
        study.spec,
        space=chosen.name,
        space_base=str(chosen.base),
        space_decisions={path: list(levels) for path, levels in chosen.decisions.items()},
        space_conditions=chosen.conditions,
        budget_gflops=None,
        budget_params_m=1e6,
    )
    return replace(study, spec=replace(spec, **changes))


@pytest.mark.parametrize("path", ["branches.2", "reduction", "fuse"])
def test_the_only_decision_that_matters_is_first_by_far(path):
    best = KNOBS.decisions[path][-1]

    def error(levels, blocks):
        if path == "reduction":  # where it cannot act it has no say
            return 0.4 if blocks[0].selects and blocks[0].dim(1024) == max(1024 // best, 8) else 0.6
        return 0.4 if levels[path] == best else 0.6

    found = importances(study_of(KNOBS, error, 300))
    assert (found.n, found.total, found.withheld) == (300, 300, "")
    shares = dict(found.shares)
    assert found.shares[0][0] == path
    assert shares[path] > 3 * max(share for name, share in shares.items() if name != path)
    assert found.clear[0] == path
    assert set(shares) == set(KNOBS.decisions)
    assert sum(shares.values()) == pytest.approx(1)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)


def test_what_fuse_silences_takes_none_of_its_credit():
    # among the best all select, so that r and L act in all of them, which is no merit of theirs
    found = importances(study_of(KNOBS, lambda levels, _: 0.4 if levels["fuse"] == "select" else 0.6, 400))
    shares = dict(found.shares)
    assert found.shares[0][0] == "fuse"
    assert shares["reduction"] + shares["min_dim"] < 0.1
    assert "reduction" not in found.clear


def test_what_never_acts_is_worth_nothing():
    # r and L of a plain sum; a branch that a condition always sets
    always = Condition(when={"branches.1": ("k1", "k3")}, then={"branches.2": "k5"})
    chosen = replace(
        space(
            {
                "branches.1": ("k1", "k3"),
                "branches.2": ("k5", "k7"),
                "branches.3": ("none", "k1g64"),
                "reduction": (4, 64),
            },
            base="k3+k5+k1/sum",
        ),
        conditions=(always,),
    )
    found = importances(study_of(chosen, lambda levels, _: 0.4 + 0.2 * (levels["branches.3"] == "none"), 100))
    shares = dict(found.shares)
    assert found.shares[0][0] == "branches.3"
    assert (shares["branches.2"], shares["reduction"]) == (0, 0)


def test_errors_of_pure_chance_are_said_to_be_that():
    said = [importances(study_of(KNOBS, lambda *_: 0.5, 120, seed=seed)).clear for seed in range(8)]
    assert sum(map(len, said)) <= 6  # 40 decisions, one in twenty by chance
    nothing = next(seed for seed, clear in enumerate(said) if not clear)
    assert "may be chance" in importances(study_of(KNOBS, lambda *_: 0.5, 120, seed=nothing)).note


@settings(max_examples=40)
@given(conditioned_spaces())
def test_what_acts_is_what_brute_force_finds(chosen):
    points = list(chosen.points())[:40]
    meant = {tuple(point.values()): chosen.network(point) for point in chosen.points()}
    for point in points:
        blocks = meant[tuple(point.values())]
        found = acting(chosen, point, blocks)
        for path in chosen.decisions:
            others = [
                other
                for levels, other in meant.items()
                if all(
                    level == point[name]
                    for name, level in zip(chosen.decisions, levels, strict=True)
                    if name != path
                )
            ]
            assert (path in found) == any(other != blocks for other in others)
            assert path not in found or found[path] == point[path]


def test_only_complete_feasible_trials_of_the_search_count():
    study = study_of(KNOBS, lambda levels, _: 0.4 + 0.2 * (levels["fuse"] == "sum"), 60)
    first = study.records[0]
    others = [
        replace(first, number=100, status="stopped"),
        replace(first, number=101, status="replay", origin="replay"),
        replace(first, number=102, status="diverged", val_error=None),
        replace(first, number=103, ref_macs=10**12, ref_params=10**13),
        replace(first, number=104, origin="anchor"),
        replace(first, number=105, block="k9+k9d2", arch_id="x"),  # complete, but no block of the space
    ]
    found = importances(study.with_records([*study.records, *others]))
    assert (found.n, found.total) == (60, 61)
    assert found.shares == importances(study).shares


def test_a_study_keeps_its_shares_whatever_the_order_of_its_records():
    study = study_of(KNOBS, lambda levels, _: 0.4 + 0.2 * (levels["fuse"] == "sum"), 80)
    assert importances(study.with_records(reversed(study.records))) == importances(study)


def test_too_few_trials_say_how_many_are_missing():
    study = study_of(KNOBS, lambda levels, _: 0.4 + 0.2 * (levels["fuse"] == "sum"), LEAST)
    assert importances(study).withheld == ""
    found = importances(study.with_records(study.records[:12]))
    assert (found.n, found.total, found.shares, found.note) == (0, 12, (), "")
    assert found.withheld == "50 complete trials within the limits are needed and 12 are there: 38 more."


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"space_decisions": {}}, "no space with decisions"),
        (
            {"space_decisions": {f"branches.{n}": [f"k{k}" for k in range(1, 99, 2)] for n in range(1, 9)}},
            "too large",
        ),
        ({"space_decisions": {"branches.1": ["k9"]}}, "0 are there: 50 more"),
    ],
)
def test_a_space_that_cannot_be_looked_into_is_a_reason(changes, reason):
    study = study_of(KNOBS, lambda *_: 0.5, 60)
    assert reason in importances(replace(study, spec=replace(study.spec, **changes))).withheld


def test_errors_that_do_not_differ_are_a_reason():
    study = study_of(KNOBS, lambda *_: 0.5, 60)
    equal = [replace(each, val_error=0.9) for each in study.records]
    assert "all errors are equal" in importances(study.with_records(equal)).withheld
    one = [replace(equal[0], val_error=0.4), *equal[1:]]
    assert "share the highest error" in importances(study.with_records(one)).withheld
    same = [replace(each, block=equal[0].block) for each in study.records]
    alone = study.with_records(same)
    narrow = replace(
        alone.spec, space_decisions={"branches.1": ["k1"], "branches.2": ["k3"], "fuse": ["sum"]}
    )
    sums = alone.with_records(replace(each, block="k1+k3/sum") for each in same)
    assert "no decision varies" in importances(replace(sums, spec=narrow)).withheld


def test_the_note_says_how_trials_were_chosen():
    study = study_of(KNOBS, lambda levels, _: 0.4 + 0.2 * (levels["fuse"] == "sum"), 60)
    assert "All 60 trials were drawn at random." in importances(study).note
    stopped = replace(study.records[0], status="stopped", number=60)
    survivors = importances(study.with_records([*study.records, stopped])).note
    assert "Trials stopped at a rung are left out" in survivors
    mixed = [replace(each, sampler="tpe" if each.number >= 6 else "random") for each in study.records]
    mixed[7] = replace(mixed[7], sampler="enqueued")
    note = importances(study.with_records(mixed)).note
    assert "6 of 60 trials (10 %) were drawn at random, the others chosen (enqueued, tpe)" in note
    assert "Branches have no order" in note


def test_of_very_many_trials_some_are_used_evenly(monkeypatch):
    monkeypatch.setattr(importance, "MOST", 60)
    monkeypatch.setattr(importance, "MOST_STAGED", 60)
    study = study_of(KNOBS, lambda levels, _: 0.4 + 0.2 * (levels["fuse"] == "sum"), 150)
    found = importances(study)
    assert (found.n, found.total) == (60, 150)
    assert "Of 150 trials n = 60 are used, evenly spaced" in found.note
    assert found.shares[0][0] == "fuse"
    numbers = [each.number for each in importance._spaced(study.records, 60)]
    assert (numbers[0], numbers[-1], len(set(numbers))) == (0, 149, 60)
    assert {b - a for a, b in itertools.pairwise(numbers)} <= {2, 3}
