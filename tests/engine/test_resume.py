"""A study that goes on: after interruptions, under another budget, with anchors added later."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from support.instant import MIDDLE, SMALL, die, error_of, keys, pressed_after

from skexplore.analysis.checklist_search import checklist
from skexplore.arch.notation import parse_blocks
from skexplore.engine.run import environment
from skexplore.engine.state import State
from skexplore.study.live import Store
from skexplore.study.spec import stored_space
from skexplore.study.store import load_study
from skexplore.study.study import trained
from skexplore.training.messages import Outcome, weights_file


@pytest.mark.parametrize(("sampler", "chose"), [("tpe", {"random", "tpe"}), ("model", {"random", "model"})])
def test_resumed_equals_uninterrupted(run, sampler, chose):
    """Cut after any number of finished trainings, one worker proposes exactly what it would have."""
    whole = run(study="whole", trials=9, sampler=sampler)
    assert {r.sampler for r in whole.searched} == chose  # beyond the random beginnings
    for cut in (1, 5, 11):
        presses = iter([0] * 10_000)
        count = 0

        def answer(job, cut=cut):
            nonlocal count
            count += 1
            if count > cut:
                raise KeyboardInterrupt
            return error_of(job)

        name = f"cut{cut}"
        with pytest.raises(KeyboardInterrupt):
            run(answer=answer, study=name, trials=9, sampler=sampler, interrupts=lambda p=presses: next(p))
        resumed = run(study=name, trials=9, sampler=sampler)
        assert [r.row() for r in resumed.records] == [r.row() for r in whole.records]


def test_a_space_used_up_stays_so_when_the_command_is_repeated(run, tmp_path):
    space = tmp_path / "small.yaml"
    space.write_text(SMALL)
    first = run(space=str(space), trials=9)
    assert first.state == "exhausted"
    assert run(space=str(space), trials=9).records == first.records


def test_resumed_equals_uninterrupted_inside_a_streak_of_replays(run, tmp_path):
    space = tmp_path / "middle.yaml"
    space.write_text(MIDDLE)
    whole, inside = run(space=str(space), trials=99, sampler="tpe", study="whole"), 0
    for calls in range(60, 120, 6):
        name = f"cut{calls}"
        with pytest.raises(KeyboardInterrupt):
            run(space=str(space), trials=99, sampler="tpe", study=name, interrupts=pressed_after(calls))
        cut = load_study(name).searched
        inside += [record.status for record in cut[-2:]] == ["replay", "replay"] and len(cut) < len(
            whole.searched
        )
        again = run(space=str(space), trials=99, sampler="tpe", study=name)
        assert [r.row() for r in again.records] == [r.row() for r in whole.records]
    assert inside


@pytest.mark.parametrize("moment", ["before the record", "between record and state"])
def test_a_kill_around_the_writing_of_a_result_loses_nothing(run, monkeypatch, moment):
    whole = run(study="whole", trials=3)
    finish, count = Store.finish, 0

    def cut(self, record, **how):
        nonlocal count
        count += 1
        if count != 6:
            return finish(self, record, **how)
        if moment == "between record and state":
            patch.setattr(optuna.Study, "tell", die)
            return finish(self, record, **how)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store, "finish", cut)
        with pytest.raises(KeyboardInterrupt):
            run(study="cut", trials=3)
    again = run(study="cut", trials=3)
    assert [r.row() for r in again.records] == [r.row() for r in whole.records]


def test_a_lower_budget_trains_nothing_above_it_that_was_waiting(run):
    def answer(job):
        if job.spec.block not in ("k3", "k3+k3d2"):
            raise KeyboardInterrupt
        return error_of(job)

    with pytest.raises(KeyboardInterrupt):
        run(answer=answer, trials=3)
    (waiting,) = [r for r in load_study("s").searched if r.status == "running"]
    lower = waiting.ref_macs / 1e9 - 0.01
    study = run(trials=3, budget_gflops=lower)
    assert study.searched[waiting.number].status == "over_budget"
    assert all(study.spec.within(r) for r in study.searched if r.images)
    assert trained(study.records) == 3


def test_a_raised_budget_lets_refused_blocks_be_trained(run, tmp_path):
    space = tmp_path / "small.yaml"
    space.write_text("name: small\nbase: k3\ndecisions:\n  branches.1: [k1, k5]\n")
    low = run(space=str(space), trials=2, budget_gflops=4.3)
    assert [r.block for r in low.searched if r.images] == ["k1"]
    high = run(space=str(space), trials=2, budget_gflops=5.0)
    assert [r.block for r in high.searched if r.images] == ["k1", "k5"]


def test_anchors_added_later_share_what_the_search_has_measured(run, tmp_path):
    space = tmp_path / "small.yaml"
    space.write_text("name: small\nbase: k3\ndecisions:\n  branches.1: [k1, k3]\n")
    run(space=str(space), trials=2, anchors="none")
    study = run(space=str(space), trials=2, anchors="two")
    assert len(keys(study)) == len(set(keys(study))) == 2 + 3
    shared = next(a for a in study.anchors if a.block == "k3" and a.seed == 0)
    own = next(r for r in study.searched if r.block == "k3")
    assert (shared.val_error, shared.images, shared.replay_of) == (own.val_error, 0, own.key)


def test_a_failed_anchor_is_tried_again_by_the_next_command(run):
    def answer(job):
        if job.spec.block == "k3":
            return Outcome(key=job.spec.key, status="failed", reason="no luck")
        return error_of(job)

    run(answer=answer, trials=1)
    study = run(trials=1)
    assert sorted(a.status for a in study.anchors if a.block == "k3") == ["complete"] * 2 + ["failed"] * 2


def test_a_failure_takes_no_measurement_away(run, tmp_path):
    space = tmp_path / "small.yaml"
    space.write_text("name: small\nbase: k3\ndecisions:\n  branches.1: [k1, k3]\n")
    options = {"space": str(space), "trials": 1, "enqueue": (parse_blocks("k3"),)}

    def fails(job):
        return Outcome(key=job.spec.key, status="failed", reason="no luck") if job.spec.block == "k3" else 0.5

    failed = next(r for r in run(answer=fails, anchors="none", **options).searched if r.block == "k3")
    study = run(anchors="two", **options)
    anchor = next(a for a in study.anchors if a.key == failed.key)
    assert (failed.status, anchor.status) == ("failed", "complete")
    with Store(Path("studies/s"), study.spec) as store:  # it reads the anchor first, then the failed trial
        assert State(store, stored_space(study.spec)).measured[failed.key] == anchor


def test_one_interrupt_after_the_last_training_is_no_interruption(run):
    done = []
    study = run(trials=1, on_progress=done.append, interrupts=lambda: int(getattr(done[-1], "trained", 0)))
    assert study.state == "finished"


def test_an_interrupt_during_anchors_added_later_is_one(run):
    run(trials=1, anchors="none")
    with pytest.raises(KeyboardInterrupt):
        run(
            trials=1,
            anchors="two",
            answer=lambda job: Outcome(key=job.spec.key, status="paused"),
            interrupts=pressed_after(1),
        )
    assert len([a for a in run(trials=1, anchors="two").anchors if a.status == "complete"]) == 4


def test_weights_of_a_front_survive_a_change_of_budget(run, synthetic_data):
    def weights(job):
        path = weights_file(Path(job.study_folder), job.spec.key)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"synthetic")
        return error_of(job)

    study = run(answer=weights, trials=6)
    front = {weights_file(Path("studies/s"), r.key) for r in study.front}
    run(answer=weights, trials=7, budget_gflops=4.3)
    assert all(path.exists() for path in front)
    assert len(list(Path("studies/s/weights").glob("*"))) < 11


def test_the_budget_may_change_and_feasibility_is_derived_anew(run):
    first = run(trials=6)
    tight = run(trials=6, budget_gflops=4.3)
    assert tight.spec.budget_gflops == 4.3
    assert all(r.ref_macs <= 4.3e9 for r in tight.front)
    assert len(tight.records) == len(first.records)


def test_the_announcement_says_what_will_be_done_and_a_changed_budget(run):
    said = []
    run(trials=1, on_progress=said.append)
    assert (
        "4 anchor trainings, then 1 of the search (1 of new blocks, 0 of its leaders again); 1 worker"
        in said[0].text
    )
    run(trials=1, budget_gflops=4.4, on_progress=said.append)
    assert "is computed again" in [event for event in said if hasattr(event, "text")][-1].text


def test_an_environment_that_changes_from_run_to_run_is_kept_whole(run, monkeypatch):
    first = run(trials=2).environment
    changed = {**first, "cores": "96", "torch": "3.0"}
    monkeypatch.setattr("skexplore.engine.run.environment", lambda _: changed)
    run(trials=3)
    assert run(trials=4).environment == {
        **first,
        "cores": f"{first['cores']}, then 96",
        "torch": f"{first['torch']}, then 3.0",
    }


def test_what_an_older_version_did_not_note_is_not_said_of_its_runs(run, monkeypatch):
    whole = environment(["cpu"])
    older = {name: value for name, value in whole.items() if name != "cpu"}
    monkeypatch.setattr("skexplore.engine.run.environment", lambda _: older)
    run(trials=2)
    monkeypatch.setattr("skexplore.engine.run.environment", lambda _: whole)
    run(trials=3)
    study = run(trials=4)
    assert study.environment == older | {"cpu": f"not noted, then {whole['cpu']}"}
    (hardware,) = [item for item in checklist(study) if "hardware" in item.question]
    assert hardware.done is False
    assert "Runs of this study differ: cpu not noted, then" in hardware.evidence


def test_the_command_twice_adds_nothing(run):
    first = run(trials=5)
    again = run(trials=5)
    assert again.records == first.records
    assert len(run(trials=7).records) > len(first.records)
