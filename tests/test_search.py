"""The coordinator on a tiny synthetic set: what is trained, what is not, and what is remembered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from skexplore import coordinator
from skexplore.backbone import get_backbone
from skexplore.cost import cost
from skexplore.errors import StudyError, UserError
from skexplore.job import Job, Outcome
from skexplore.recipe import PROFILES, Profile, Recipe, Split
from skexplore.record import Epoch, Study, status_row, trained
from skexplore.runner import DoneEvent, EpochEvent
from skexplore.search import search
from skexplore.store import Store, archive, load_study
from skexplore.weights import weights_file

TINY = Profile(
    name="tiny",
    backbone="8x4d-1111-s2",
    recipe=Recipe(epochs=2, batch_size=64),
    split=Split(dataset="synthetic", train_images=128, val_images=64),
    trials=4,
    anchor_seeds=2,
    why="synthetic data, for tests",
)


@pytest.fixture(autouse=True)
def _tiny_profile(monkeypatch):
    monkeypatch.setitem(PROFILES, "tiny", TINY)


class InstantPool:
    """A pool that answers each job at once with an error that depends on the block alone."""

    def __init__(self, devices, log, answer=None):
        self.running, self._devices = [], devices
        self._answer = answer or error_of
        self.jobs: list[Job] = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    @property
    def idle(self):
        return len(self._devices) - len(self.running)

    def start(self, job):
        self.running.append(job)
        self.jobs.append(job)

    def pause(self):
        pass

    def events(self, timeout):
        job = self.running.pop(0)
        answer = self._answer(job)
        if isinstance(answer, Outcome):
            return [DoneEvent(outcome=answer)]
        epochs = tuple(
            Epoch(epoch=n, train_loss=1.0, val_loss=1.0, val_error=answer, seconds=1.0)
            for n in range(1, job.until + 1)
        )
        done = DoneEvent(outcome=Outcome(key=job.spec.key, status="complete", curve=epochs))
        return [*(EpochEvent(key=job.spec.key, epoch=epoch) for epoch in epochs), done]


def error_of(job: Job) -> float:
    """A known objective: more multiply-adds, less error."""
    return 0.9 - cost(job.spec.block).macs / 1e10


@pytest.fixture
def run(monkeypatch, synthetic_data):
    """Search with instant trainings; returns the study. ``run.pool`` holds the last pool."""

    def go(answer=None, **changes) -> Study:
        def pool(devices, log):
            go.pool = InstantPool(devices, log, answer)
            return go.pool

        monkeypatch.setattr(coordinator, "Pool", pool)
        request = {"budget_gflops": 4.5, "profile": "tiny", "workers": 1, "trials": 6, "study": "s"}
        return search(**(request | {"data_folder": synthetic_data} | changes))

    return go


def keys(study: Study) -> list[str]:
    return [record.key for record in study.records if record.images]


def test_ends_at_exactly_the_trials_asked_for(run):
    study = run(trials=6)
    assert trained(study.records) == 6
    assert len(study.anchors) == 4
    assert study.state == "finished"


def test_the_command_twice_adds_nothing(run):
    first = run(trials=5)
    again = run(trials=5)
    assert again.records == first.records
    assert len(run(trials=7).records) > len(first.records)


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
    study = run(trials=5, budget_params_m=26.0)
    assert all(r.ref_params <= 26e6 for r in study.records if r.origin == "search" and r.images)
    assert any(r.status == "over_budget" and r.ref_macs <= 4.5e9 for r in study.searched)


def test_nothing_is_trained_twice(run, tmp_path):
    space = tmp_path / "small.yaml"
    space.write_text(
        "name: small\nbase: k3\ndecisions:\n  branches.1: [k1, k3]\n  branches.2: [none, k1, k3]\n"
    )
    study = run(space=str(space), trials=50)
    # k1, k3, k1+k1, k1+k3, k3+k3: five networks, of which k3 is an anchor
    assert sorted(r.block for r in study.searched if r.images) == ["k1", "k1+k1", "k1+k3", "k3+k3"]
    assert len(keys(study)) == len(set(keys(study)))
    assert status_row(study)["trained"] == 4


def test_a_small_space_ends_by_patience_and_says_so(run, tmp_path):
    space = tmp_path / "small.yaml"
    space.write_text("name: small\nbase: k3\ndecisions:\n  branches.1: [k1, k5g128]\n")
    said = []
    study = run(space=str(space), trials=50, on_progress=said.append)
    assert trained(study.records) == 2
    assert any(
        "200 proposals in a row" in event.text for event in said if getattr(event, "kind", "") == "note"
    )


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
    assert not any(r.status == "replay" for r in study.front())


def test_two_workers_train_no_network_twice(run):
    study = run(trials=9, workers=2)
    assert trained(study.records) == 9
    assert len(keys(study)) == len(set(keys(study)))


def test_resumed_equals_uninterrupted(run):
    """Cut after any number of finished trainings, one worker proposes exactly what it would have."""
    whole = run(study="whole", trials=5)
    for cut in (1, 5, 7):
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
            run(answer=answer, study=name, trials=5, interrupts=lambda p=presses: next(p))
        resumed = run(study=name, trials=5)
        assert [r.row() for r in resumed.records] == [r.row() for r in whole.records]


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
    assert not diverged & {r.number for r in study.front()}
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
    assert study.front() == []
    assert study.best() is None


SMALL = "name: small\nbase: k3\ndecisions:\n  branches.1: [k1, k1g64]\n"


def test_a_space_used_up_stays_so_when_the_command_is_repeated(run, tmp_path):
    space = tmp_path / "small.yaml"
    space.write_text(SMALL)
    first = run(space=str(space), trials=9)
    assert first.state == "exhausted"
    assert run(space=str(space), trials=9).records == first.records


def test_resumed_equals_uninterrupted_inside_a_streak_of_replays(run, tmp_path):
    space = tmp_path / "small.yaml"
    space.write_text(SMALL)
    whole = run(space=str(space), trials=9, study="whole")
    with pytest.raises(KeyboardInterrupt):
        run(space=str(space), trials=9, study="cut", interrupts=_pressed_after(60))
    assert 0 < len(load_study("cut").searched) < len(whole.searched)
    again = run(space=str(space), trials=9, study="cut")
    assert [r.row() for r in again.records] == [r.row() for r in whole.records]


@pytest.mark.parametrize("moment", ["before the record", "between record and state"])
def test_a_kill_around_the_writing_of_a_result_loses_nothing(run, monkeypatch, moment):
    whole = run(study="whole", trials=3)
    finish, count = Store.finish, 0

    def cut(self, record, *, state, value):
        nonlocal count
        count += 1
        if count != 6:
            return finish(self, record, state=state, value=value)
        if moment == "between record and state":
            patch.setattr(optuna.Study, "tell", _die)
            return finish(self, record, state=state, value=value)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store, "finish", cut)
        with pytest.raises(KeyboardInterrupt):
            run(study="cut", trials=3)
    again = run(study="cut", trials=3)
    assert [r.row() for r in again.records] == [r.row() for r in whole.records]


def _die(*_, **__):
    raise KeyboardInterrupt


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


def test_other_samplers_and_budgets_are_other_studies_by_default(run):
    names = {
        run(study=None, trials=1, **change).spec.name
        for change in ({}, {"sampler": "random"}, {"budget_params_m": 27.0}, {"seed": 1})
    }
    assert names == {
        "synthetic-sk-paper-4.5g-tiny-s0", "synthetic-sk-paper-4.5g-tiny-s0-random",
        "synthetic-sk-paper-4.5g-27m-tiny-s0", "synthetic-sk-paper-4.5g-tiny-s1",
    }  # fmt: skip


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
            interrupts=_pressed_after(1),
        )
    assert len([a for a in run(trials=1, anchors="two").anchors if a.status == "complete"]) == 4


def _pressed_after(calls):
    count = 0

    def interrupts():
        nonlocal count
        count += 1
        return int(count > calls)

    return interrupts


def test_weights_of_a_front_survive_a_change_of_budget(run, synthetic_data):
    def weights(job):
        path = weights_file(Path(job.study_folder), job.spec.key)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"synthetic")
        return error_of(job)

    study = run(answer=weights, trials=6)
    front = {weights_file(Path("studies/s"), r.key) for r in study.front()}
    run(answer=weights, trials=7, budget_gflops=4.3)
    assert all(path.exists() for path in front)
    assert len(list(Path("studies/s/weights").glob("*"))) < 11


def test_a_full_disk_in_the_database_ends_with_a_message_and_an_intact_study(run, monkeypatch):
    run(trials=2)

    def full(*_, **__):
        raise optuna.exceptions.StorageInternalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "add", full)
        with pytest.raises(StudyError, match="disk is full"):
            run(trials=4)
    assert trained(load_study("s").records) == 2


def test_a_damaged_database_is_named(run):
    Path("studies/s").mkdir(parents=True)
    Path("studies/s/study.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(UserError, match=r"study\.db: cannot be used"):
        load_study("s")
    with pytest.raises(UserError, match=r"study\.db: cannot be used"):
        run(trials=1)


def test_a_search_killed_before_it_began_is_begun_by_the_next_command(run, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(optuna.Study, "set_user_attr", _die)
        with pytest.raises(KeyboardInterrupt):
            run(trials=1)
    with pytest.raises(UserError, match="before it began"):
        load_study("s")
    assert run(trials=1).state == "finished"


def test_a_changed_archive_is_refused(run):
    run(trials=1)
    archive("s")
    Path("studies/s").rename("moved")
    Path("moved/study.db").unlink()
    records = Path("moved/records.jsonl")
    text = records.read_text()
    assert load_study("moved").spec.name == "s"  # a folder here is found by its plain name
    for changed in (text[:-1], "\n".join(text.splitlines()[:-1]) + "\n", "", text.replace("0.4", "0.1")):
        records.write_text(changed)
        with pytest.raises(UserError, match="changed since it was archived"):
            load_study("moved")


def test_the_announcement_says_what_will_be_done_and_a_changed_budget(run):
    said = []
    run(trials=1, on_progress=said.append)
    assert "4 anchor trainings, then search trials until 1 are trained; 1 worker" in said[0].text
    run(trials=1, budget_gflops=4.4, on_progress=said.append)
    assert "derived anew" in [event for event in said if hasattr(event, "text")][-1].text


def test_a_renamed_study_is_not_mixed_with_another(run):
    run(trials=1)
    Path("studies/s").rename("studies/t")
    assert load_study("t").spec.name == "s"
    with pytest.raises(UserError, match="holds the study s"):
        run(trials=1, study="t")


def test_the_budget_may_change_and_feasibility_is_derived_anew(run):
    first = run(trials=6)
    tight = run(trials=6, budget_gflops=4.3)
    assert tight.spec.budget_gflops == 4.3
    assert all(r.ref_macs <= 4.3e9 for r in tight.front())
    assert len(tight.records) == len(first.records)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"seed": 1}, "seed"),
        ({"space": "other"}, "space"),
        ({"profile": "tiny2"}, "recipe"),
        ({"sampler": "random"}, "sampler"),
    ],
)
def test_another_request_under_the_same_name_is_refused(run, monkeypatch, tmp_path, change, word):
    run(trials=2)
    monkeypatch.setitem(PROFILES, "tiny2", replace(TINY, recipe=Recipe(epochs=3)))
    other = tmp_path / "other.yaml"
    other.write_text("name: other\nbase: k3\ndecisions:\n  branches.1: [k1, k3]\n")
    if "space" in change:
        change = {"space": str(other)}
    before = load_study("s")
    with pytest.raises(UserError, match=f"another {word}"):
        run(**change)
    assert load_study("s") == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budget_gflops": -1}, "positive"),
        ({"budget_gflops": float("nan")}, "positive"),
        ({"budget_gflops": 1.0}, "cheapest block of sk-paper, k1g128"),
        ({"budget_params_m": 5.0}, "cheapest block"),
        ({"sampler": "grid"}, "known: tpe, random"),
        ({"anchors": "all"}, "two or none"),
        ({"trials": 0}, "at least 1"),
        ({"workers": 0}, "at least 1"),
        ({"seed": -1}, "between 0"),
        ({"profile": "huge"}, "known: smoke, quick"),
        ({"space": "sk-papr"}, "did you mean sk-paper"),
        ({"study": "../x"}, "letters"),
        ({"study": "a b"}, "letters"),
        ({"study": "<script>"}, "letters"),
        ({"study": "x.anchors"}, "anchors"),
    ],
)
def test_a_bad_request_is_refused_before_anything_is_written(run, change, message):
    with pytest.raises(UserError, match=message):
        run(**change)
    assert not Path("studies").exists()


def test_a_second_coordinator_is_refused(run):
    refused = []

    def answer(job):
        if not refused:
            with pytest.raises(UserError, match="live coordinator") as error:
                search(budget_gflops=4.5, profile="tiny", study="s", data_folder=Path(job.data_folder))
            refused.append(error)
            assert load_study("s").state == "running"
        return error_of(job)

    run(answer=answer, trials=2)
    assert len(refused) == 1


def test_random_and_tpe_differ_and_each_repeats_itself(run):
    def blocks(**changes):
        return [r.block for r in run(trials=12, **changes).searched]

    random = blocks(sampler="random", study="r1")
    assert random == blocks(sampler="random", study="r2")
    tpe = blocks(study="t1")
    assert tpe == blocks(study="t2")
    assert tpe != random
    assert blocks(study="t3", seed=1) != tpe


def test_an_archive_reads_as_the_study_it_came_from(run):
    study = run(trials=3)
    archive("s")
    Path("studies/s/study.db").unlink()
    again = load_study("s")
    assert again == study
    with pytest.raises(UserError, match="is an archive"):
        run(trials=4)


def test_status_has_the_contract_keys(run):
    row = status_row(run(trials=3))
    assert list(row) == [
        "study", "state", "asked", "trained", "complete", "stopped", "over_budget", "replay", "failed",
        "diverged", "running", "target", "best_block", "best_val_error", "images", "seconds",
    ]  # fmt: skip
    assert (row["study"], row["state"], row["trained"], row["target"]) == ("s", "finished", 3, 3)
    assert row["images"] == (3 + 4) * 2 * 128


def test_reading_what_is_no_study(run):
    with pytest.raises(UserError, match="no study at studies/none; studies here: none yet"):
        load_study("none")
    Path("studies/a").mkdir(parents=True)
    Path("studies/a/records.jsonl").write_text("{}\n")
    Path("studies/a/study.json").write_text("{]")
    with pytest.raises(UserError, match="not valid JSON"):
        load_study("a")
    Path("studies/a/study.json").write_text("[]")
    with pytest.raises(UserError, match="not the definition"):
        load_study("a")


def test_the_proxy_of_each_profile_builds_the_shipped_space():
    from skexplore.space import Space

    for profile in PROFILES.values():
        Space.load("sk-paper").check_buildable(get_backbone(profile.backbone))


def test_a_real_search_trains_in_processes_of_its_own(synthetic_data):
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
    best = study.best()
    assert best is not None
    assert (Path("studies/real/weights") / f"{best.key}.safetensors").exists()
    assert not list(Path("studies/real/checkpoints").glob("*"))
    # the two seeds of an anchor really differ, equal specifications do not
    assert len({a.curve[-1].val_loss for a in study.anchors}) == len(study.anchors)
