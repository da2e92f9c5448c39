"""The measure of samplers: exact thresholds, equal runs from equal seeds, finite numbers; no figure gates a test."""

from __future__ import annotations

import json
import math

import pytest
from support.small_table import FEW

from skexplore.arch.costs import cost
from skexplore.arch.notation import format_blocks, parse_blocks
from skexplore.bench import OBJECTIVES, analytic, compare, distinct, play as module
from skexplore.bench.landscape import SHARES
from skexplore.bench.peers import play_optuna
from skexplore.bench.play import play
from skexplore.errors import UserError

YAML = """
name: few
base: k3
decisions:
  branches.1: [k1, k3, k3d2, k5]
  branches.1.groups: [32, 64]
  branches.2: [none, k1, k3, k3d3]
  branches.2.groups: [32, 128]
  reduction: [8, 16]
  fuse: [select, sum]
"""


def on_few(objective):
    return analytic(FEW, distinct(FEW), objective, 4.4)


def on_file(path, objective):
    return f"bench search --quick --space {path} --budget-gflops 4.4 --objective {objective}".split()


@pytest.fixture
def few(tmp_path):
    path = tmp_path / "few.yaml"
    path.write_text(YAML)
    return str(path)


@pytest.mark.parametrize("objective", sorted(OBJECTIVES))
def test_thresholds_are_those_of_brute_force(objective):
    land = on_few(objective)
    # from combinations of levels to notation to cost and error, each by itself
    texts = {format_blocks(FEW.decode(point)) for point in FEW.points()}
    inside = {text for text in texts if cost(parse_blocks(text)).macs <= 4.4e9}
    assert set(land.truths) == texts
    assert land.feasible == inside
    assert 0 < len(inside) < len(texts)
    errors = [OBJECTIVES[objective](parse_blocks(text)) for text in inside]
    for share, threshold in zip(SHARES, land.thresholds, strict=True):
        good = sum(error <= threshold for error in errors)
        assert good == max(1, int(share * len(inside)))


@pytest.mark.parametrize("objective", sorted(OBJECTIVES))
def test_the_dearest_blocks_are_not_simply_the_best_and_the_budget_binds(objective):
    land = on_few(objective)
    assert all(0 < error < 1 for error in land.truths.values())
    macs = {name: cost(parse_blocks(name)).macs for name in land.truths}
    best = min(land.feasible, key=land.truths.__getitem__)
    assert best != max(land.feasible, key=macs.__getitem__)
    assert any(
        macs[one] > macs[other] and land.truths[one] > land.truths[other]
        for one in land.feasible
        for other in land.feasible
    )
    assert min(land.truths.values()) <= min(land.truths[name] for name in land.feasible)


def test_objectives_are_fixed_numbers():
    blocks = parse_blocks("k3+k3d2")
    found = {name: objective(blocks) for name, objective in OBJECTIVES.items()}
    assert found == pytest.approx(KNOWN, abs=1e-9)


KNOWN = {"mixed": 0.27461472891815464, "layered": 0.3758026950927772}


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_played_search_trains_nothing_twice_and_nothing_over_the_budget(sampler, monkeypatch):
    land, seen = on_few("mixed"), []
    see = module.Watch.see
    monkeypatch.setattr(
        module.Watch, "see", lambda self, name, error: (seen.append(name), see(self, name, error))
    )
    found = play(land, sampler, seed=3, target=12)
    assert len(seen) == len(set(seen)) == found.trained
    assert set(seen) <= land.feasible
    assert (found.duplicates, found.over_budget) == (0, 0)


def test_plain_optuna_counts_its_duplicates_and_what_is_over_the_budget(monkeypatch):
    land, seen = on_few("mixed"), []
    see = module.Watch.see
    monkeypatch.setattr(
        module.Watch, "see", lambda self, name, error: (seen.append(name), see(self, name, error))
    )
    found = play_optuna(land, seed=0, target=40)
    assert found.trained == len(seen) == 40
    assert found.duplicates == 40 - len(set(seen))
    assert found.over_budget == len(set(seen) - land.feasible)
    inside = [name for name in seen if name in land.feasible]
    assert found.lowest == min((land.truths[name], name) for name in inside)


def test_the_best_share_is_reached_at_the_first_block_in_it():
    land = on_few("layered")
    watch = module.Watch(land)
    ranked = sorted(land.feasible, key=land.truths.__getitem__)
    watch.see(ranked[-1], 0.5)
    watch.see(min(set(land.truths) - land.feasible, key=land.truths.__getitem__), 0.1)
    assert watch.reached == [None] * 3
    watch.see(ranked[0], 0.4)
    watch.see(ranked[0], 0.45)
    assert watch.reached == [3, 3, 3]
    assert watch.lowest == (0.4, ranked[0])
    assert watch.done


def test_same_seed_same_result_and_another_seed_another():
    land = on_few("mixed")
    first, again, other = (
        compare(lambda _: land, "mixed", repeats=2, seed=seed, cap=8) for seed in (0, 0, 50)
    )
    assert again == first != other
    assert any(each.duplicates for each in first.competitors)
    for each in first.competitors:  # shares of the trainings, of all repeats together
        assert 0 <= each.duplicates <= 1
        assert 0 <= each.over_budget <= 1


def test_the_command_prints_finite_numbers_and_its_method(command, few):
    arguments = on_file(few, "layered")
    code, out, _ = command(*arguments)
    assert code == 0
    for words in ("skexplore, --sampler tpe", "Optuna as it comes", "best 0.5 %", "The aim", "Method:"):
        assert words in out
    assert "nan" not in out


def test_the_command_as_json_has_finite_numbers_and_repeats_them(command, few):
    arguments = on_file(few, "mixed")
    code, text, _ = command(*arguments, "--json")
    assert code == 0
    found = json.loads(text)
    assert [each["objective"] for each in found] == ["mixed"]
    for each in found:
        assert (each["repeats"], each["cap"], each["space"]) == (2, 30, "few")
        numbers = [*each["times_optuna"], *each["times_random"]]
        numbers += [
            one[k] for c in each["competitors"] for one in c["reached"] for k in ("low", "median", "high")
        ]
        assert all(math.isfinite(number) and number > 0 for number in numbers)
    assert json.loads(command(*arguments, "--json")[1]) == found


def test_what_cannot_be_measured_is_refused(command, few):
    for arguments, words in (
        (("--space", "sk-wide"), "can be enumerated"),
        (("--space", few, "--budget-gflops", "1"), "GFLOPs"),
        (("--space", few, "--objective", "none"), "must be one of mixed, layered, all"),
    ):
        code, out, err = command("bench", "search", "--quick", *arguments)
        assert (code, out) == (2, "")
        assert words in err
    with pytest.raises(UserError, match="no block within 1 GFLOPs"):
        analytic(FEW, distinct(FEW), "mixed", 1.0)
