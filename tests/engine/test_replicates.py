"""Fresh seeds of a search's leaders: how many, whom, and what they are told to."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from support.instant import MIDDLE, RUNGS, SMALL, error_of
from support.searches import searched
from support.studies import record

from skexplore.engine.replicates import next_replicate
from skexplore.engine.run import train
from skexplore.errors import UserError
from skexplore.study.recipe import PROFILES
from skexplore.study.store import load_study
from skexplore.study.study import trained


def noisy(job):
    """The known objective with noise that depends on network and seed alone."""
    return error_of(job) + int(f"{job.spec.net_id}{job.spec.seed}"[-6:], 16) % 1000 / 50_000


def test_the_last_fifth_of_the_trainings_goes_to_leaders(run):
    study = run(trials=15)
    assert (trained(study.records), len(study.replicates)) == (15, 3)
    assert sum(r.status == "complete" for r in study.searched) == 12
    assert study.asked_replicates == 3
    assert study.state == "finished"
    assert run(trials=15).records == study.records


@pytest.mark.parametrize(("trials", "replicates"), [(4, 0), (6, 1), (6, 3)])
def test_as_many_as_asked_for(run, trials, replicates):
    study = run(trials=trials, replicates=replicates)
    assert (trained(study.records), len(study.replicates)) == (trials, replicates)


def test_replicates_are_fresh_seeds_of_one_block_after_the_other(run):
    study = run(trials=16, replicates=6, answer=noisy)
    seeds = Counter((r.net_id, r.seed) for r in study.records if r.status == "complete")
    assert max(seeds.values()) == 1
    best = sorted(study.eligible(), key=lambda r: r.val_error)[:5]
    assert {r.block for r in study.replicates} <= {r.block for r in best}
    assert all(r.epochs == study.spec.recipe.epochs for r in study.replicates)


def test_the_sampler_is_not_told_of_them(run):
    run(trials=10, answer=noisy)
    stored = optuna.load_study(study_name="s", storage="sqlite:///studies/s/study.db")
    assert {t.user_attrs["record"]["origin"] for t in stored.trials} <= {"search", "replay"}
    beside = optuna.load_study(study_name="s.anchors", storage="sqlite:///studies/s/study.db")
    assert [t.user_attrs["record"]["origin"] for t in beside.trials] == ["anchor"] * 4 + ["replicate"] * 2


@pytest.mark.parametrize("cut", [13, 15, 16])
def test_resumed_equals_uninterrupted_among_replicates(run, cut):
    whole, count = run(study="whole", trials=15, answer=noisy), 0

    def answer(job):
        nonlocal count
        count += 1
        if count > cut:
            raise KeyboardInterrupt
        return noisy(job)

    with pytest.raises(KeyboardInterrupt):
        run(answer=answer, study="cut", trials=15)
    resumed = run(study="cut", trials=15, answer=noisy)
    assert [r.row() for r in resumed.records] == [r.row() for r in whole.records]


def test_more_trials_later_are_new_blocks_first(run):
    run(trials=10)
    study = run(trials=20)
    assert (trained(study.records), len(study.replicates)) == (20, 4)


def test_several_workers_end_at_exactly_the_trials_asked_for(run):
    study = run(trials=15, workers=4, answer=noisy)
    assert (trained(study.records), len(study.replicates)) == (15, 3)


def test_a_space_used_up_has_one_replicate_for_four_blocks(run, tmp_path):
    for name, text, blocks, replicates in (("middle", MIDDLE, 21, 5), ("small", SMALL, 2, 0)):
        space = tmp_path / f"{name}.yaml"
        space.write_text(text)
        study = run(study=name, space=str(space), trials=500, anchors="none")
        assert study.state == "exhausted"
        assert (trained(study.records), len(study.replicates)) == (blocks + replicates, replicates)


def test_a_front_is_replicated_in_pareto_mode(run):
    study = run(trials=20, mode="pareto", budget_gflops=None)
    assert {r.block for r in study.replicates} <= {r.block for r in study.front}


def test_leaders_are_never_stopped_at_a_rung(run, monkeypatch):
    monkeypatch.setitem(PROFILES, "rungs", RUNGS)
    study = run(trials=20, profile="rungs", answer=noisy)
    assert {r.status for r in study.replicates} == {"complete"}
    assert {r.epochs for r in study.replicates} == {9}


def test_without_a_complete_trial_there_is_no_leader():
    study = searched("short", 0.5, 0.4)
    assert next_replicate(study.with_records([])) is None
    block = study.eligible()[0].block
    assert next_replicate(study.with_records([record(0, block, "running", None, 0)])) is None


@pytest.mark.parametrize("replicates", [-1, 5, 9])
def test_more_replicates_than_trials_are_refused(run, replicates):
    with pytest.raises(UserError, match="between 0 and 4"):
        run(trials=5, replicates=replicates)
    assert not Path("studies").exists()


def test_two_notations_of_one_network_have_an_estimate_each(run):
    study = run(trials=10)
    record = study.eligible()[0]
    twin = replace(record, block="k3+k3d2/r32/L8", number=99, arch_id="twin")
    both = study.with_records([*study.records, twin])
    assert both.modelled
    assert {record.block, twin.block} <= set(both.estimates)
    assert both.best is not None


def test_an_own_training_of_a_leader_has_a_record_of_its_own(run, synthetic_data):
    study = run(trials=10)
    leader = study.replicates[0]
    assert leader.seed == 1
    count = len(study.records)
    more = train(leader.block, study="s", seed=1, seeds=1, workers=1, data_folder=synthetic_data)
    (own,) = more.records[
        len(study.anchors) + len(study.replicates) : len(more.records) - len(study.searched)
    ]
    assert (own.origin, own.sampler, own.seed, own.images) == ("anchor", "user", 1, 0)
    assert own.val_error == leader.val_error
    assert len(more.records) == count + 1


def test_a_replicate_that_a_lower_budget_rules_out_is_not_trained(run):
    presses, count = iter([0] * 10_000), 0

    def answer(job):
        nonlocal count
        count += 1
        if count > 12:
            raise KeyboardInterrupt
        return noisy(job)

    with pytest.raises(KeyboardInterrupt):
        run(answer=answer, trials=10, interrupts=lambda: next(presses))
    left = [r for r in load_study("s").replicates if r.status == "running"]
    assert left
    lower = min(r.ref_macs for r in left) / 1e9 - 0.001
    again = run(trials=10, budget_gflops=lower, answer=noisy)
    assert {r.status for r in again.replicates if r.number == left[0].number} == {"over_budget"}
    assert all(r.ref_macs <= lower * 1e9 for r in again.replicates if r.status == "complete")


def test_a_space_that_is_short_of_blocks_has_the_fewer_replicates(run, tmp_path):
    space = tmp_path / "middle.yaml"
    space.write_text(MIDDLE)  # 21 blocks
    study = run(space=str(space), trials=30, replicates=8, anchors="none")
    assert (len(study.eligible()), len(study.replicates), study.state) == (21, 7, "exhausted")
