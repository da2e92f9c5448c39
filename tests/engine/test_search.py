"""The coordinator on a tiny synthetic set: what is trained, what is not, and what is told."""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import optuna
import pytest
from support.instant import MIDDLE, error_of, keys

from skexplore.arch.backbones import get_backbone
from skexplore.arch.costs import cost
from skexplore.arch.notation import format_blocks, parse_blocks
from skexplore.engine import sampler as sampling
from skexplore.engine.run import search
from skexplore.engine.state import IDLE, State
from skexplore.errors import StudyError
from skexplore.space.boxes import TooManyError
from skexplore.space.space import Space
from skexplore.study.live import Store
from skexplore.study.recipe import PROFILES
from skexplore.study.samplers import SAMPLERS
from skexplore.study.spec import stored_space
from skexplore.study.store import load_study
from skexplore.study.study import status_row, trained
from skexplore.training.messages import Outcome


def test_ends_at_exactly_the_trials_asked_for(run):
    study = run(trials=6)
    assert trained(study.records) == 6
    assert len(study.anchors) == 4
    assert study.state == "finished"


def test_nothing_over_budget_is_trained_and_the_sampler_is_told_before(run):
    study = run(trials=8)
    for record in study.searched:
        own = cost(record.block)
        assert (own.macs, own.params) == (record.ref_macs, record.ref_params)
        assert (record.status == "over_budget") == (own.macs > 4.5e9)
        if record.status == "over_budget":
            assert record.images == 0
            assert record.val_error is None
    stored = optuna.load_study(study_name="s", storage="sqlite:///studies/s/study.db")
    for trial, record in zip(stored.trials, study.searched, strict=True):
        assert trial.constraints == {"gflops": pytest.approx(record.ref_macs / 4.5e9 - 1)}
        over = record.status == "over_budget"
        assert (trial.state is optuna.trial.TrialState.PRUNED) == over


def test_a_budget_in_params_is_kept_too(run):
    study = run(trials=5, budget_params_m=26.0, sampler="tpe")
    assert all(r.ref_params <= 26e6 for r in study.records if r.origin == "search" and r.images)
    assert any(r.status == "over_budget" and r.ref_macs <= 4.5e9 for r in study.searched)


def test_a_budget_in_activations_is_kept_too(run):
    study = run(trials=5, budget_activations_m=17.5, sampler="tpe")
    activations = {r.block: cost(r.block).activations for r in study.records}
    assert all(activations[r.block] <= 17.5e6 for r in study.records if r.origin == "search" and r.images)
    over = [r for r in study.searched if r.status == "over_budget" and r.ref_macs <= 4.5e9]
    assert over
    assert all("17.5 M activations" in r.reason for r in over)
    assert study.spec.budget_words == "budget 4.5 GFLOPs and 17.5 M activations"
    table = study.trials()
    assert dict(zip(table.block, table.ref_activations, strict=True)) == activations
    alone = run(trials=3, budget_gflops=None, budget_activations_m=17.5, study="alone")
    assert alone.spec.bounds[0].cost == "activations"


def test_nothing_is_trained_twice(run, tmp_path):
    space = tmp_path / "small.yaml"
    space.write_text(
        "name: small\nbase: k3\ndecisions:\n  branches.1: [k1, k3]\n  branches.2: [none, k1, k3]\n"
    )
    study = run(space=str(space), trials=50)
    # k1, k3, k1+k1, k1+k3, k3+k3: five networks, of which k3 is an anchor
    assert sorted(r.block for r in study.searched if r.images) == ["k1", "k1+k1", "k1+k3", "k3+k3"]
    assert len(keys(study)) == len(set(keys(study)))
    assert (status_row(study)["trained"], len(study.replicates)) == (5, 1)


def test_a_small_space_ends_with_its_last_architecture_and_says_so(run, tmp_path):
    space = tmp_path / "small.yaml"
    space.write_text("name: small\nbase: k3\ndecisions:\n  branches.1: [k1, k5g128]\n")
    said = []
    study = run(space=str(space), trials=50, on_progress=said.append)
    assert trained(study.records) == 2
    assert [r.block for r in study.searched].count(study.searched[-1].block) == 1
    assert any(
        "every architecture within the budget is tried: 2 of 50 trained" in event.text
        for event in said
        if getattr(event, "kind", "") == "note"
    )


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_no_sampler_runs_dry_before_the_space_does(run, tmp_path, sampler):
    space = tmp_path / "middle.yaml"
    space.write_text(MIDDLE)
    study = run(space=str(space), trials=500, sampler=sampler, anchors="none")
    blocks = {each.block for each in study.searched}
    within = {
        format_blocks(forms)
        for forms in map(Space.load(space).decode, Space.load(space).points())
        if cost(forms).macs <= 4.5e9
    }
    assert study.state == "exhausted"
    assert {each.block for each in study.searched if each.images} == within
    # never more than so many in a row are for nothing
    streaks = [
        len([*group]) for idle, group in itertools.groupby(study.searched, lambda r: not r.images) if idle
    ]
    assert max(streaks, default=0) <= (0 if SAMPLERS[sampler].models else IDLE)
    assert blocks >= within


def test_the_model_is_told_each_measurement_once_and_proposes_nothing_in_vain(run):
    study = run(trials=8, sampler="model")
    assert all(record.images for record in study.searched)  # within the budget, and new
    with Store(Path("studies/s"), study.spec) as store:
        model = State(store, stored_space(study.spec)).proposer.model
    told = Counter(record.block for record in study.records)
    assert {block: model.seeds(block) for block in model.blocks} == told
    assert told["k3"] == told["k3+k3d2"] == 2


def test_an_anchor_that_failed_first_is_told_in_the_end(run):
    def fails(job):
        if job.spec.block == "k3":
            return Outcome(key=job.spec.key, status="failed", reason="no memory")
        return error_of(job)

    run(fails, trials=2, sampler="model")
    study = run(trials=2, sampler="model")
    with Store(Path("studies/s"), study.spec) as store:
        assert State(store, stored_space(study.spec)).proposer.model.seeds("k3") == 2


def test_a_proposed_anchor_is_told_from_its_measurement_once(run, tmp_path):
    space = tmp_path / "small.yaml"
    space.write_text("name: small\nbase: k3\ndecisions:\n  branches.1: [k3, k1]\n")
    study = run(space=str(space), trials=50)
    replays = [r for r in study.searched if r.block == "k3"]
    assert {r.status for r in replays} == {"replay"}
    assert {r.origin for r in replays} == {"replay"}
    stored = optuna.load_study(study_name="s", storage="sqlite:///studies/s/study.db")
    complete = [t.number for t in stored.trials if t.state is optuna.trial.TrialState.COMPLETE]
    told = [r for r in replays if r.number in complete]
    assert len(told) == 1
    assert told[0].val_error == next(a.val_error for a in study.anchors if a.block == "k3" and a.seed == 0)
    assert not any(r.status == "replay" for r in study.front)


def test_architectures_that_are_one_network_in_the_proxy_share_one_training(run, tmp_path):
    """Of k1+k3/r8 the least dimension acts in the fourth stage alone, which sknet29 has not."""
    space = tmp_path / "twins.yaml"
    space.write_text("name: twins\nbase: k1+k3/r8\ndecisions:\n  min_dim: [1, 32, 64]\n")
    wished = (parse_blocks("k1+k3/r8/L1"), parse_blocks("k1+k3/r8/L64"))
    study = run(space=str(space), backbone="sknet29", enqueue=wished, trials=3, anchors="none")
    first, second = study.searched[:2]
    assert first.arch_id != second.arch_id
    assert first.net_id == second.net_id
    assert (first.status, second.status, second.reason) == ("complete", "replay", "measured as trial 0")
    assert (second.val_error, second.replay_of) == (first.val_error, first.key)


def test_two_workers_train_no_network_twice(run):
    study = run(trials=9, workers=2)
    assert trained(study.records) == 9
    assert len(keys(study)) == len(set(keys(study)))


def test_a_failure_is_tried_once_more_then_recorded_and_the_search_goes_on(run):
    calls: dict[str, int] = {}

    def answer(job):
        calls[job.spec.key] = calls.get(job.spec.key, 0) + 1
        if job.spec.block != "k3" and "k1" in job.spec.block:
            return Outcome(key=job.spec.key, status="failed", reason="OutOfMemoryError: synthetic")
        return error_of(job)

    study = run(answer=answer, trials=5)
    failed = [r for r in study.searched if r.status == "failed"]
    assert failed
    assert all(r.reason == "OutOfMemoryError: synthetic" for r in failed)
    assert all(calls[r.key] == 2 for r in failed)
    assert trained(study.records) == 5


def test_ten_failures_in_a_row_end_the_search_and_keep_what_is_there(run):
    def answer(job):
        if job.spec.block in ("k3", "k3+k3d2"):
            return error_of(job)
        return Outcome(key=job.spec.key, status="failed", reason="no luck")

    with pytest.raises(StudyError, match="10 trials in a row failed or diverged"):
        run(answer=answer, trials=30)
    study = load_study("s")
    assert sum(r.status == "failed" for r in study.searched) == 10
    assert all(r.status == "complete" for r in study.anchors)


def test_a_diverged_training_is_recorded_and_told_as_guessing(run):
    def answer(job):
        if "k1" in job.spec.block:
            return Outcome(key=job.spec.key, status="diverged", reason="training loss is nan in epoch 1")
        return error_of(job)

    study = run(answer=answer, trials=4)
    diverged = {r.number for r in study.searched if r.status == "diverged"}
    assert diverged
    assert not diverged & {r.number for r in study.front}
    stored = optuna.load_study(study_name="s", storage="sqlite:///studies/s/study.db")
    for number in diverged:
        assert study.searched[number].val_error is None
        assert "nan" in study.searched[number].reason
        assert stored.trials[number].value == 0.9  # guessing one of ten classes
    assert trained(study.records) == 4


def test_ten_divergences_in_a_row_end_the_search(run):
    def answer(job):
        return Outcome(key=job.spec.key, status="diverged", reason="training loss is nan in epoch 1")

    with pytest.raises(StudyError, match="10 trials in a row failed or diverged"):
        run(answer=answer, trials=2, anchors="none")
    study = load_study("s")
    assert study.front == []
    assert study.best is None


@pytest.mark.slow
def test_random_and_tpe_differ_and_each_repeats_itself(run):
    def blocks(**changes):
        return [r.block for r in run(trials=12, **changes).searched]

    random = blocks(sampler="random", study="r1")
    assert random == blocks(sampler="random", study="r2")
    tpe = blocks(sampler="tpe", study="t1")
    assert tpe == blocks(sampler="tpe", study="t2")
    assert tpe != random
    assert blocks(sampler="tpe", study="t3", seed=1) != tpe


def test_the_default_models_and_begins_with_random_architectures(run):
    searched = run(trials=6, anchors="none").searched
    begun = [r.number for r in searched if r.status == "complete"][SAMPLERS["model"].startup - 1] + 1
    assert [r.sampler for r in searched] == ["random"] * begun + ["model"] * (len(searched) - begun)


def test_tpe_begins_with_uniform_draws_and_goes_on_by_itself(run):
    searched = run(trials=12, sampler="tpe", anchors="none").searched
    begun = [r.number for r in searched if r.status == "complete"][SAMPLERS["tpe"].startup - 1] + 1
    assert {r.sampler for r in searched[:begun]} == {"random"}
    assert {r.sampler for r in searched[begun:]} == {"tpe"}
    assert searched[0].block == run(trials=1, sampler="random", study="r").searched[0].block  # the same draw


def test_a_space_too_large_to_be_taken_apart_is_drawn_level_by_level(run, monkeypatch):
    def too_many(*_):
        raise TooManyError

    monkeypatch.setattr(sampling, "Candidates", too_many)
    searched = run(trials=9, sampler="tpe", anchors="none").searched
    begun = [r.number for r in searched if r.status == "complete"][SAMPLERS["tpe"].startup - 1] + 1
    assert [r.sampler for r in searched] == ["random"] * begun + ["tpe"] * (len(searched) - begun)
    assert {r.sampler for r in run(trials=3, sampler="random", study="r").searched} == {"random"}


def test_status_has_the_contract_keys(run):
    row = status_row(run(trials=3))
    assert list(row) == [
        "study", "state", "asked", "trained", "complete", "stopped", "over_budget", "replay", "failed",
        "diverged", "running", "target", "best_block", "best_val_error", "best_low", "best_high", "beats_paper",
        "beats_plain", "may_be_best", "images", "seconds",
    ]  # fmt: skip
    assert (row["study"], row["state"], row["trained"], row["target"]) == ("s", "finished", 3, 3)
    assert row["images"] == (3 + 4) * 2 * 128


def test_the_proxy_of_each_profile_builds_the_shipped_space():
    from skexplore.space.space import Space

    for profile in PROFILES.values():
        Space.load("sk-paper").check_buildable(get_backbone(profile.backbone))


@pytest.mark.slow
def test_a_real_search_trains_in_processes_of_its_own(tiny, synthetic_data):
    """The whole way with real workers: two of them, on the synthetic set, whose test part does not exist."""
    # workers read the profile's data from the job itself, so the tiny profile needs no registration there
    study = search(
        budget_gflops=4.5, profile="tiny", study="real", trials=2, workers=2, data_folder=synthetic_data
    )
    assert trained(study.records) == 2
    for record in study.records:
        if record.images:
            assert record.images == 2 * 128
            assert len(record.curve) == 2
            assert record.val_error == record.curve[-1].val_error
    best = study.best
    assert best is not None
    assert (Path("studies/real/weights") / f"{best.key}.safetensors").exists()
    assert not list(Path("studies/real/checkpoints").glob("*"))
    # the two seeds of an anchor really differ, equal specifications do not
    assert len({a.curve[-1].val_loss for a in study.anchors}) == len(study.anchors)


def test_what_was_trained_says_when_it_ended_and_a_replay_does_not(run):
    before = datetime.now(UTC).replace(microsecond=0)
    study = run(trials=4)
    after = datetime.now(UTC)
    trained = [record for record in study.records if record.images]
    assert trained
    for record in trained:
        begin, end = record.trained_in
        assert before <= end <= after
        assert (end - begin).total_seconds() == pytest.approx(record.seconds)
    assert all(record.ended == "" for record in study.records if not record.images)
