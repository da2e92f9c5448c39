"""Conditions and bands of a space: what they mean, what a file may say, and what a search does with them."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from support.small_spaces import PAIR, conditioned_spaces
from support.studies import SPEC

from skexplore.arch.costs import cost
from skexplore.arch.limits import Sizes
from skexplore.arch.notation import format_blocks
from skexplore.engine.sampler import constraints
from skexplore.errors import UserError
from skexplore.files import parse
from skexplore.space.decisions import Condition
from skexplore.space.space import Space
from skexplore.study.spec import StudySpec
from skexplore.study.store import load_study

HEAD = """\
name: s
base: k3
decisions:
  branches.1: [k3, k5]
  branches.2: [none, k1, k3d2]
  reduction: [8, 16]
  fuse: [select, sum]
"""


def loaded(text: str) -> Space:
    Path("given.yaml").write_text(text)
    return Space.load("given.yaml")


def refusal(text: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        loaded(text)
    return str(caught.value).splitlines()


def decoded(space: Space, **levels: object) -> str:
    point = {"branches.1": "k3", "branches.2": "k3d2", "reduction": 16, "fuse": "select"}
    return format_blocks(
        space.decode(point | {path.replace("_", "."): level for path, level in levels.items()})
    )


# -- what conditions mean


def test_a_condition_acts_where_all_of_when_holds_and_nowhere_else():
    space = loaded(
        HEAD
        + "conditions:\n  - when: {branches.1: k5, reduction: [8]}\n    then: {fuse: sum, branches.2: k1}\n"
    )
    assert decoded(space, branches_1="k5", reduction=8) == "k1+k5/sum"
    assert decoded(space, branches_1="k5", reduction=16) == "k3d2+k5"
    assert decoded(space, branches_1="k3", reduction=8) == "k3+k3d2/r8"


def test_a_list_in_when_means_any_of_its_levels():
    space = loaded(HEAD + "conditions: [{when: {branches.2: [k1, k3d2]}, then: {fuse: sum}}]\n")
    assert [decoded(space, branches_2=level) for level in ("none", "k1", "k3d2")] == [
        "k3",
        "k1+k3/sum",
        "k3+k3d2/sum",
    ]


def test_conditions_act_in_order_and_a_later_one_sees_what_an_earlier_one_set():
    chain = [
        "{when: {branches.1: k5}, then: {branches.2: k1}}",
        "{when: {branches.2: k1}, then: {fuse: sum}}",
    ]
    forward, backward = (
        loaded(HEAD + f"conditions: [{', '.join(order)}]\n") for order in (chain, chain[::-1])
    )
    assert decoded(forward, branches_1="k5") == "k1+k5/sum"
    assert decoded(backward, branches_1="k5") == "k1+k5"


def test_every_decision_is_still_asked():
    space = loaded(HEAD + "conditions: [{when: {branches.1: k5}, then: {fuse: sum}}]\n")
    assert space.raw_size == len(list(space.points())) == 24
    assert list(space.decisions) == ["branches.1", "branches.2", "reduction", "fuse"]


@settings(max_examples=60)
@given(conditioned_spaces())
def test_conditions_reach_only_what_the_space_without_them_holds(space):
    free = replace(space, conditions=())
    assert {space.decode(point) for point in space.points()} <= {free.decode(p) for p in free.points()}


def test_a_condition_may_keep_a_block_from_losing_its_last_branch():
    both = "name: s\nbase: k3\ndecisions: {branches.1: [none, k3], branches.2: [none, k5]}\n"
    assert "no block is left" in refusal(both)[0]
    space = loaded(both + "conditions: [{when: {branches.1: none}, then: {branches.2: k5}}]\n")
    assert {format_blocks(space.decode(p)) for p in space.points()} == {"k5", "k3", "k3+k5"}
    other = (
        both.replace("[none, k3]", "[k3, k5]")
        + "conditions: [{when: {branches.1: k5}, then: {branches.2: none}}]\n"
    )
    assert {format_blocks(loaded(other).decode(p)) for p in loaded(other).points()} == {"k3", "k3+k5", "k5"}


# -- what a file may say

CONDITIONS = {
    "{fuse: sum}": ["conditions"],
    "[3]": ["conditions.1"],
    "[{when: {fuse: sum}}]": ["conditions.1.then"],
    "[{when: {}, then: {fuse: sum}}]": ["conditions.1.when"],
    "[{when: {fuse: sum}, then: [fuse]}]": ["conditions.1.then"],
    "[{when: {fuze: sum}, then: {reduction: 4}}]": ["conditions.1.when.fuze", "conditions.1.then.reduction"],
    "[{when: {fuse: [sum, mean]}, then: {reduction: '8'}}]": [
        "conditions.1.when.fuse",
        "conditions.1.then.reduction",
    ],
    "[{when: {fuse: []}, then: {reduction: 8}}]": ["conditions.1.when.fuse"],
    "[{when: {fuse: sum}, then: {reduction: [8]}}]": ["conditions.1.then.reduction"],
    "[{when: {fuse: sum}, then: {fuse: select}}]": ["conditions.1.then.fuse"],
    "[{when: {fuse: sum}, then: {reduction: 8}}, {when: {1: 2}, then: {reduction: 8}}]": [
        "conditions.2.when.1"
    ],
    "[{when: {fuse: sum}, then: {reduction: true}}]": ["conditions.1.then.reduction"],
    "[{when: {fuse: sum}, then: {reduction: 8}, else: {}}]": ["conditions.1.else"],
}


@pytest.mark.parametrize("text", CONDITIONS)
def test_a_condition_must_name_declared_decisions_and_levels(text):
    lines = refusal(HEAD + f"conditions: {text}\n")
    assert [line.split(": ")[:2] for line in lines] == [["given.yaml", place] for place in CONDITIONS[text]]


BANDS = ["[4, 3]", "[3, 3]", "[-1, 3]", "[0, 3]", "[null, .inf]", "[.nan, 3]", "[a, 3]", "[true, 3]", "3", "[3]",
         "[null, null]", "[1, 2, 3]", "{low: 3}", "['1', 2]", "[1e300, null]", "null"]  # fmt: skip


# what is wrong with one of the two numbers is said at its place
BANDS_ITEM = {"[-1, 3]": ".1", "[0, 3]": ".1", "[null, .inf]": ".2", "[.nan, 3]": ".1", "[a, 3]": ".1",
              "[true, 3]": ".1", "['1', 2]": ".1", "[1e300, null]": ".1"}  # fmt: skip


@pytest.mark.parametrize("band", BANDS)
@pytest.mark.parametrize("name", ["gflops", "params_m"])
def test_a_band_is_two_positive_numbers_in_order_or_null(name, band):
    lines = refusal(HEAD + f"constraints: {{{name}: {band}}}\n")
    assert len(lines) == 1
    at = BANDS_ITEM.get(band, "")
    assert lines[0].startswith(f"given.yaml: constraints.{name}{at}: ")


def test_a_band_is_shown_with_its_quotes():
    lines = refusal(HEAD + "constraints: {gflops: [true, '4'], params_m: '29'}\n")
    assert [line.split(": ")[2] for line in lines] == ["True", "'4'", "'29'"]


@pytest.mark.parametrize("key", ["conditions", "constraints"])
def test_a_key_with_nothing_under_it_is_called_empty(key):
    (line,) = refusal(HEAD + f"{key}:\n")
    assert line.startswith(f"given.yaml: {key}: empty; give ")
    assert line.endswith("or leave the key out")


def test_a_level_repeated_in_when_is_reported_once():
    lines = refusal(HEAD + "conditions: [{when: {reduction: [8, 16, 8, 8]}, then: {fuse: sum}}]\n")
    assert lines == ["given.yaml: conditions.1.when.reduction: level 8: given 3 times; once is enough"]


@pytest.mark.parametrize("text", ["[3, 4]", "3", "{macs: [1, 2]}", "{1: [1, 2]}"])
def test_constraints_are_a_mapping_of_known_costs(text):
    (line,) = refusal(HEAD + f"constraints: {text}\n")
    assert line.startswith("given.yaml: constraints")


def test_everything_wrong_with_a_file_is_said_at_once():
    text = (
        "name: [s]\nbase: 3\ndescription: 7\ntrials: 9\ndecisions:\n  1: [k3]\n  branches.1: k3\n  reduction: [0]\n"
        "  fuse: [sum]\nconditions: [{when: {x: 1}, then: {fuse: mean}}]\nconstraints: {gflops: [2, 1]}\n"
    )
    places = [line.split(": ")[1] for line in refusal(text)]
    assert sorted(places) == sorted(
        ["name", "base", "description", "trials", "decisions.1", "decisions.branches.1", "decisions.reduction",
         "conditions.1.when.x", "conditions.1.then.fuse", "constraints.gflops"]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("branches.1", "stages.*.branches.1"),
        ("stages.*.fuse", "fuse"),
        ("branches.1.groups", "stages.*.branches.1.groups"),
    ],
)
def test_a_decision_under_two_names_is_refused_with_both(one, other):
    levels = "[sum]" if "fuse" in one else "[32]" if "groups" in one else "[k3]"
    (line,) = refusal(f"name: s\nbase: k3\ndecisions:\n  {one}: {levels}\n  {other}: {levels}\n")
    assert line == f"given.yaml: decisions.{other}: is the same decision as {one}; give it once"


def test_groups_in_a_branch_level_are_refused_where_any_groups_decision_would_replace_them():
    for one, other in (
        ("stages.2.branches.1", "branches.1.groups"),
        ("branches.1", "stages.3.branches.1.groups"),
    ):
        (line,) = refusal(f"name: s\nbase: k3\ndecisions: {{{one}: [k3, k3g64], {other}: [32, 64]}}\n")
        assert other in line
    loaded("name: s\nbase: k3\ndecisions: {stages.2.branches.1: [k3g64], stages.3.branches.1.groups: [32]}\n")


def test_a_strangers_text_cannot_steer_the_terminal():
    text = 'name: "\\e[31m"\nbase: k3\n"\\e]0;x\\a": 1\ndecisions: {"\\ud800": [k3], fuse: ["\\e[2J"]}\n'
    assert all(line.isprintable() for line in refusal(text))


def test_aliases_that_grow_are_cut_short():
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n" for n in range(1, 60))
    lines = refusal(bomb + "name: *a59\nbase: *a59\ndecisions: {reduction: [*a59, 4], fuse: *a59}\n")
    assert 3 <= len(lines) <= 52
    assert all(len(line) < 300 for line in lines)
    assert len(refusal("name: &a [*a]\nbase: k3\ndecisions: {fuse: *a}\n")) == 2


def test_conditions_that_name_too_many_combinations_are_refused():
    many = f"[{', '.join(map(str, range(1, 201)))}]"
    text = f"name: s\nbase: k3\ndecisions: {{reduction: {many}, min_dim: {many}}}\n"
    loaded(text)
    (line,) = refusal(text + "conditions: [{when: {reduction: 1}, then: {min_dim: 2}}]\n")
    assert line.startswith("given.yaml: conditions: ")
    assert "40,000" in line


# -- identity


def test_the_hash_without_conditions_and_bands_is_the_one_that_archives_hold():
    study = load_study(str(Path(__file__).parents[2] / "studies" / "first-search"))
    assert Space.load("sk-paper").hash == study.spec.space_hash


def test_conditions_and_bands_are_part_of_the_hash():
    condition = Condition(when={"branches.2": ("none",)}, then={"reduction": 4})
    other = Condition(when={"branches.2": ("k1",)}, then={"reduction": 4})
    hashes = {
        PAIR.hash,
        replace(PAIR, conditions=(condition,)).hash,
        replace(PAIR, conditions=(other,)).hash,
        replace(PAIR, conditions=(condition, other)).hash,
        replace(PAIR, conditions=(other, condition)).hash,
        replace(PAIR, band_gflops=(4.0, None)).hash,
        replace(PAIR, band_gflops=(None, 4.0)).hash,
        replace(PAIR, band_params_m=(None, 4.0)).hash,
    }
    assert len(hashes) == 8


# -- in a search


def test_a_spec_keeps_conditions_and_bands_and_one_without_them_loads():
    condition = Condition(when={"fuse": ("sum", "select")}, then={"reduction": 4})
    spec = replace(SPEC, space_conditions=(condition,), band_gflops=(4.0, None))
    assert parse(StudySpec, json.loads(json.dumps(asdict(spec))), "spec") == spec
    old = {
        key: value
        for key, value in asdict(SPEC).items()
        if key not in ("space_conditions", "band_gflops", "band_params_m")
    }
    assert parse(StudySpec, old, "spec") == SPEC


def test_the_sampler_is_told_one_constraint_for_every_limit():
    spec = replace(
        SPEC,
        budget_params_m=30.0,
        budget_activations_m=18.0,
        band_gflops=(4.0, 4.4),
        band_params_m=(26.0, None),
    )
    assert constraints(spec, Sizes(4_200_000_000, 27_300_000, 20_000_000)) == {
        "gflops": pytest.approx(4.2 / 4.5 - 1),
        "params": pytest.approx(27.3 / 30 - 1),
        "activations": pytest.approx(20 / 18 - 1),
        "gflops_low": pytest.approx(1 - 4.2 / 4.0),
        "gflops_high": pytest.approx(4.2 / 4.4 - 1),
        "params_low": pytest.approx(1 - 27.3 / 26),
    }


BANDED = """\
name: banded
base: k3
decisions:
  branches.1: [k1, k3, k5]
  branches.2: [none, k1, k3d2, k5]
  fuse: [select, sum]
conditions:
  - when: {branches.1: k5}
    then: {fuse: sum}
constraints: {gflops: [4.2, 4.6], params_m: [null, 28]}
"""


def test_a_search_trains_nothing_outside_the_bands_and_says_why(run):
    Path("banded.yaml").write_text(BANDED)
    study = run(
        space="banded.yaml", budget_gflops=5.0, trials=50, sampler="tpe"
    )  # the model proposes none outside
    outside = [record for record in study.searched if record.status == "over_budget"]
    trained = [record for record in study.searched if record.images]
    assert outside
    assert trained
    assert not any(record.images for record in outside)
    for record in study.searched:
        own = cost(record.block)
        inside = 4.2e9 <= own.macs <= 4.6e9 and own.params <= 28e6
        assert (record.status == "over_budget") == (not inside)
        assert study.spec.within(record) == inside
    reasons = " | ".join(record.reason for record in outside)
    assert "% on the space's band, at least 4.2 GFLOPs" in reasons
    assert "% on the space's band, at most 4.6 GFLOPs" in reasons
    assert study.spec.space_conditions == Space.load("banded.yaml").conditions


@pytest.mark.parametrize("change", [("[4.2, 4.6]", "[4.1, 4.6]"), ("fuse: sum}", "fuse: select}")])
def test_a_study_is_not_continued_with_another_band_or_condition(run, change):
    Path("banded.yaml").write_text(BANDED)
    run(space="banded.yaml", budget_gflops=5.0, trials=2, study="mine")
    Path("banded.yaml").write_text(BANDED.replace(*change))
    with pytest.raises(UserError, match="another space"):
        run(space="banded.yaml", budget_gflops=5.0, trials=2, study="mine")


def test_a_search_whose_budget_the_band_excludes_is_refused_before_anything_is_written(run):
    Path("banded.yaml").write_text(BANDED)
    with pytest.raises(UserError, match=r"--budget-gflops 4\.1: excludes the space's band"):
        run(space="banded.yaml", budget_gflops=4.1, trials=2)
    assert not Path("studies").exists()
