"""Rungs: who goes on, what is kept of who does not, and that a cut search ends as an uncut one."""

from __future__ import annotations

import numpy as np
import optuna
import pytest
from hypothesis import given, strategies as st
from support.instant import keys, rugged

from skexplore.arch.notation import parse_blocks
from skexplore.engine.halving import RungValue, goes_on
from skexplore.errors import UserError
from skexplore.study.recipe import PROFILES, rung_epochs
from skexplore.study.record import Epoch
from skexplore.study.rungs import LEAST_AGREEMENT, agreement, rung_pairs, rung_tells
from skexplore.study.store import load_study
from skexplore.study.study import trained
from skexplore.training.messages import Outcome

values = st.builds(RungValue, error=st.floats(0, 1), macs=st.integers(1, 5))


def test_rungs_are_powers_of_eta_and_end_with_the_recipe():
    assert rung_epochs(3, 3, 27) == (3, 9, 27)
    assert rung_epochs(5, 2, 20) == (5, 10, 20)
    with pytest.raises(UserError, match="not 3 times a power"):
        rung_epochs(3, 3, 30)
    for profile in PROFILES.values():
        assert not profile.rungs or profile.rungs[-1] == profile.recipe.epochs


@given(values, st.lists(values, max_size=12), st.sampled_from([2, 3]))
def test_the_best_and_the_front_of_a_rung_go_on(own, rivals, eta):
    better = [rival for rival in rivals if rival.error < own.error]
    dominated = any(
        r.error <= own.error and r.macs <= own.macs and (r.error, r.macs) != (own.error, own.macs)
        for r in rivals
    )
    best = len(better) * eta < len(rivals) + 1  # fewer better ones than a share of 1/eta holds
    assert goes_on(own, rivals, eta) is (best or not dominated)


@given(values, st.lists(values, max_size=8), st.randoms())
def test_the_order_of_rivals_does_not_matter(own, rivals, random):
    before = goes_on(own, rivals, 3)
    random.shuffle(rivals)
    assert goes_on(own, rivals, 3) is before


def test_trials_stop_at_rungs_and_the_rest_is_trained_to_the_end(run, trusting):
    study = run(rugged, profile="rungs", study="r")
    stopped = [r for r in study.searched if r.status == "stopped"]
    complete = [r for r in study.searched if r.status == "complete"]
    assert stopped
    assert complete
    assert trained(study.records) == len(stopped) + len(complete) + len(study.replicates) == 6
    for record in stopped:
        assert record.epochs == len(record.curve) == (1, 3, 9)[record.rung] < 9
        assert record.images == record.epochs * study.spec.split.train_images
        assert record.val_error == record.curve[-1].val_error
        assert "neither in its best 1/3 nor on its front" in record.reason
    for record in complete:
        assert (record.epochs, record.rung) == (9, 2)
    assert all(anchor.epochs == 9 for anchor in study.anchors)
    assert set(study.front) <= set(complete)
    # each segment was asked for once: no epoch is trained twice
    asked = [job.until for job in run.pool.jobs if job.spec.key == complete[-1].key]
    assert asked == [1, 3, 9]


def test_every_stop_is_what_the_rule_says_of_what_was_known_then(run, trusting):
    study = run(rugged, profile="rungs", study="r")
    order = [r for r in study.searched if r.curve]
    for index, record in enumerate(order):  # one worker: trials end in the order of their numbers
        for rung, epochs in enumerate(study.spec.rungs[:-1]):
            if record.at(epochs) is None:
                break
            rivals = [
                RungValue(error=other.at(epochs), macs=other.ref_macs)
                for other in order[:index]
                if other.at(epochs) is not None
            ]
            own = RungValue(error=record.at(epochs), macs=record.ref_macs)
            assert goes_on(own, rivals, 3) is (record.rung > rung), record.number


def test_the_sampler_and_plain_optuna_see_the_values_on_the_way(run, trusting):
    study = run(rugged, profile="rungs", study="r")
    stored = optuna.load_study(study_name="r", storage="sqlite:///studies/r/study.db")
    for trial, record in zip(stored.trials, study.searched, strict=True):
        if record.curve and record.origin == "search":
            assert trial.intermediate_values == {each.epoch: each.val_error for each in record.curve}
            assert trial.last_step in (1, 3, 9)
        if record.status == "stopped":
            assert trial.state is optuna.trial.TrialState.PRUNED


def test_nothing_is_stopped_before_ten_trials_say_that_the_rung_tells(run):
    study = run(rugged, profile="rungs", study="r", trials=24, anchors="none")
    order = [r for r in study.searched if r.curve]
    assert {r.status for r in order[:10]} == {"complete"}
    assert "stopped" in {r.status for r in order[10:]}
    assert all(rung_tells(study.searched, epochs) for epochs in (1, 3))


def test_a_rung_that_says_nothing_of_the_end_stops_nothing(run):
    def answer(job):
        """The last epoch's error has nothing to do with those before."""
        early = int(job.spec.net_id, 16) // 1000 % 1000 / 2500
        errors = [0.3 + early] * min(job.until, 8) + [rugged(job)] * (job.until == 9)
        curve = tuple(
            Epoch(epoch=n, train_loss=1.0, val_loss=1.0, val_error=error, seconds=0.0)
            for n, error in enumerate(errors, start=1)
        )
        return Outcome(key=job.spec.key, status="complete", curve=curve)

    study = run(answer, profile="rungs", study="r", trials=24, anchors="none")
    assert agreement(rung_pairs(study.searched, 3)) < LEAST_AGREEMENT
    assert {r.status for r in study.searched if r.curve} == {"complete"}


@pytest.mark.parametrize(("truth", "least", "most"), [(0.4, 0.2, 0.32), (0.9, 0.97, 1.0)])
def test_how_often_a_rung_of_a_known_correlation_is_used(truth, least, most):
    """Known truth, 1,000 searches each: what the threshold was chosen by."""
    generator = np.random.default_rng(0)
    used = 0
    for _ in range(1_000):
        last = generator.standard_normal(10)
        early = truth * last + (1 - truth**2) ** 0.5 * generator.standard_normal(10)
        used += agreement(list(zip(early, last, strict=True))) >= LEAST_AGREEMENT
    assert least <= used / 1_000 <= most


def test_errors_that_do_not_vary_say_nothing():
    assert agreement([(0.5, 0.4)] * 10) == 0.0
    assert agreement([]) is None


@pytest.mark.parametrize("doubt", [False, True])
def test_a_search_with_rungs_cut_anywhere_ends_as_the_uncut_one(run, request, doubt):
    if not doubt:
        request.getfixturevalue("trusting")
    trials = 14 if doubt else 6  # ten come to the end before one may be stopped
    whole = run(rugged, study="whole", profile="rungs", trials=trials)
    assert "stopped" in {record.status for record in whole.searched}
    for cut in (20, 33, 35, 37) if doubt else (3, 6, 9, 12):
        count = 0

        def answer(job, cut=cut):
            nonlocal count
            count += 1
            if count > cut:
                raise KeyboardInterrupt
            return rugged(job)

        name = f"cut{cut}"
        with pytest.raises(KeyboardInterrupt):
            run(answer=answer, study=name, profile="rungs", trials=trials)
        again = run(rugged, study=name, profile="rungs", trials=trials)
        assert [r.row() for r in again.records] == [r.row() for r in whole.records]


def test_what_diverged_later_competes_no_more(run, trusting):
    def answer(job):
        if job.until == 9 and job.spec.block == "k1":
            return Outcome(key=job.spec.key, status="diverged", reason="loss is nan")
        return rugged(job)

    study = run(answer=answer, profile="rungs", study="r")
    assert {r.status for r in study.searched if r.curve} <= {"complete", "stopped", "diverged"}


def test_a_stopped_network_is_neither_trained_again_nor_told_as_a_value(run, tmp_path, trusting):
    space = tmp_path / "small.yaml"
    space.write_text(
        "name: small\nbase: k3\ndecisions:\n  branches.1: [k1, k1g64, k3]\n  branches.2: [none, k1, k3]\n"
    )
    only = {"space": str(space), "sampler": "random", "anchors": "none"}
    study = run(rugged, profile="rungs", study="r", trials=50, **only)
    stopped = {r.net_id: r.number for r in study.searched if r.status == "stopped"}
    replays = [r for r in study.searched if r.status == "replay" and r.net_id in stopped]
    assert stopped
    assert stopped.keys() == {r.net_id for r in replays}  # the space is used up: each came again
    stored = optuna.load_study(study_name="r", storage="sqlite:///studies/r/study.db").trials
    for replay in replays:
        assert replay.reason == f"stopped as trial {stopped[replay.net_id]}"
        assert replay.val_error is None
        assert stored[replay.number].state is optuna.trial.TrialState.FAIL
    assert len(keys(study)) == len(set(keys(study)))


def test_rivals_of_a_rung_are_within_the_budget_of_now(run, trusting):
    high, low = 4.8, 4.3
    before = run(
        rugged, profile="rungs", study="r", sampler="tpe", anchors="none", budget_gflops=high, trials=8
    )
    study = run(
        rugged, profile="rungs", study="r", sampler="tpe", anchors="none", budget_gflops=low, trials=20
    )
    order = [r for r in study.searched if r.curve]
    assert not all(study.spec.within(r) for r in order)
    others_decide = 0
    for index, record in enumerate(order):
        if record.number < len(before.searched):
            continue
        for rung, epochs in enumerate(study.spec.rungs[:-1]):
            if record.at(epochs) is None:
                break
            every = [other for other in order[:index] if other.at(epochs) is not None]
            own = RungValue(error=record.at(epochs), macs=record.ref_macs)
            rivals = [RungValue(error=other.at(epochs), macs=other.ref_macs) for other in every]
            within = [r for r, other in zip(rivals, every, strict=True) if study.spec.within(other)]
            assert goes_on(own, within, 3) is (record.rung > rung), record.number
            others_decide += goes_on(own, rivals, 3) is not goes_on(own, within, 3)
    assert others_decide, "no decision depends on the budget here"


def test_no_rungs_on_request_and_rungs_where_the_profile_has_none(run, command):
    none = run(profile="rungs", pruner="none", study="none", trials=2)
    assert (none.spec.rungs, none.spec.recipe.cycles) == ((), ())
    assert all(r.epochs == 9 for r in none.searched if r.curve)
    own = run(pruner="rungs", study="own", trials=2)
    assert (own.spec.rungs, own.spec.recipe.cycles) == ((1, 2), (1,))
    assert load_study("own").spec == own.spec
    with pytest.raises(UserError, match="another r"):
        run(study="own", trials=2)
    code, _, err = command("search", "--budget-gflops", "4.5", "--profile", "smoke", "--pruner", "rungs")
    assert code == 2
    assert "cannot be cut into rungs" in err


def test_a_trial_may_be_wished_for(run):
    wished = (parse_blocks("k3+k3d2"), parse_blocks("k1+k3/r8"))
    study = run(enqueue=wished, trials=3, anchors="none")
    assert [r.block for r in study.searched[:2]] == ["k3+k3d2", "k1+k3/r8"]
    assert [r.sampler for r in study.searched[:2]] == ["enqueued", "enqueued"]
    assert {r.sampler for r in study.searched[2:]} == {"random"}
    again = run(enqueue=wished, trials=3, anchors="none")
    assert again.records == study.records
    more = run(enqueue=wished, trials=4, anchors="none")
    # the same command goes on, and asks for neither again
    assert [r.sampler for r in more.searched].count("enqueued") == 2
    with pytest.raises(UserError, match="is not in the space"):
        run(enqueue=(parse_blocks("k3+k3d2/r3"),))
