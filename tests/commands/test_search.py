"""``skexplore search`` and ``train`` as a user types them, with instant trainings on synthetic data."""

from __future__ import annotations

import json
import pkgutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from support.instant import TINY, InstantPool, die

from skexplore.engine import coordinator
from skexplore.study.record import COLUMNS
from skexplore.training.messages import Outcome


@pytest.fixture
def instant(monkeypatch, tiny, synthetic_data) -> None:
    monkeypatch.setattr(coordinator, "Pool", InstantPool)
    monkeypatch.setattr("skexplore.engine.run.prepare_data", lambda *_, **__: synthetic_data)


SEARCH = ("search", "--budget-gflops", "4.5", "--profile", "tiny", "--workers", "1")


def test_search_as_json(command, instant):
    code, out, _ = command(*SEARCH, "--json")
    assert code == 0
    found = json.loads(out)
    assert (found["study"], found["trained"], found["state"]) == (
        "synthetic-sk-paper-4.5g-tiny-s0",
        4,
        "finished",
    )
    assert list(found["front"][0]) == list(COLUMNS)


def test_default_names_say_what_is_not_the_default(command, instant):
    for more, name in (
        (["--sampler", "random"], "synthetic-sk-paper-4.5g-tiny-s0-random"),
        (["--mode", "pareto", "--budget-params", "27"], "synthetic-sk-paper-4.5g-27m-tiny-s0-pareto"),
        (["--space", "sk-cifar", "--seed", "3"], "synthetic-sk-cifar-4.5g-tiny-s3"),
        (["--backbone", "16x4d-1111-s2"], "synthetic-sk-paper-4.5g-tiny-s0-16x4d-1111-s2"),
        (["--pruner", "rungs"], "synthetic-sk-paper-4.5g-tiny-s0-rungs"),
        (["--pruner", "none"], "synthetic-sk-paper-4.5g-tiny-s0"),
    ):
        code, out, err = command(*SEARCH, "--trials", "1", "--anchors", "none", "--json", *more)
        assert code == 0, err
        assert json.loads(out)["study"] == name


def test_a_plan_trains_nothing_and_writes_nothing(command, instant, monkeypatch):
    monkeypatch.setattr("skexplore.training.measure", lambda *_: 128.0)
    code, out, _ = command(*SEARCH, "--plan")
    assert code == 0
    assert "4 trainings of the search, 0 of them of its leaders again, and 4 of anchors to go" in out
    assert "sampler model; profile tiny, 2 x " in out
    assert "images in 8x4d-1111-s2; blocks for SKNet-50 at 224x224; anchors k3, k3+k3d2\n" in out
    assert "8x4d-1111-s2 does not measure 5 of the 9 taps of k3d3" in out
    found = json.loads(command(*SEARCH, "--plan", "--json")[1])
    assert (found["trials"], found["images"], found["images_per_second"]) == (4, 2048, 128.0)
    assert found["seconds"] == pytest.approx(
        (2048 + 0.28 * 1024) / 128
    )  # the validation images take time too
    assert {"space", "size", "feasible", "cheapest"} <= set(found)
    assert not any(Path.cwd().iterdir())
    command(*SEARCH)
    again = json.loads(command(*SEARCH, "--plan", "--json", "--trials", "6")[1])
    assert (again["trials"], again["anchors"]) == (2, 0)


def test_a_plan_of_a_finished_study_answers_without_a_worker_and_without_torch(command, instant):
    command(*SEARCH)
    script = (
        "import sys\n"
        "from skexplore.study.recipe import PROFILES, Profile, Recipe, Split\n"
        f"PROFILES['tiny'] = {TINY!r}\n"
        f"sys.argv = ['skexplore', *{(*SEARCH, '--plan')!r}]\n"
        "started = []\n"
        "sys.addaudithook(lambda event, _: started.append(event) if event == 'subprocess.Popen' else None)\n"
        "from skexplore.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "assert not started, started\n"
        "assert 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (
        "study synthetic-sk-paper-4.5g-tiny-s0: nothing is left to train; give a larger --trials"
        in done.stdout
    )
    found = json.loads(command(*SEARCH, "--plan", "--json")[1])
    assert (found["trials"], found["images"], found["images_per_second"], found["seconds"]) == (0, 0, None, 0)
    assert {"space", "size", "feasible", "cheapest", "devices"} <= set(found)


def test_a_budget_that_excludes_nothing_is_said_to(command, instant, monkeypatch):
    monkeypatch.setattr("skexplore.training.measure", lambda *_: 128.0)
    typo = [word.replace("4.5", "4500") for word in SEARCH]
    says = "--budget-gflops 4500 excludes nothing: the costliest block of sk-paper, "
    assert says in command(*typo, "--plan")[1]
    code, out, err = command(*typo, "--plan", "--json")
    assert (code, says in err, json.loads(out)["trials"]) == (0, True, 4)
    code, out, err = command(*typo, "--trials", "1", "--json")
    assert (code, says in err, says in out) == (0, True, False)
    assert "excludes nothing" not in "".join(command(*SEARCH, "--plan")[1:])


@pytest.mark.parametrize("budget", ["4.5G", "4500M", "4.5g", "4500000K", "0.0045T"])
def test_a_budget_may_carry_a_letter_for_its_unit(command, instant, monkeypatch, budget):
    monkeypatch.setattr("skexplore.training.measure", lambda *_: 128.0)
    asked = [word.replace("4.5", budget) for word in SEARCH]
    assert command(*asked, "--plan") == command(*SEARCH, "--plan")


@pytest.mark.parametrize("budget", ["four", "4G5", "G", ""])
def test_a_budget_that_is_no_number_is_refused(command, budget):
    code, _, err = command("search", "--budget-gflops", budget)
    assert (
        code,
        f"'{budget}' is not a valid number, such as 4.5, 4.5G or 4500M" in " ".join(err.split()),
    ) == (2, True)


def test_a_plan_refuses_what_the_search_would(command, instant, monkeypatch):
    monkeypatch.setattr("skexplore.training.measure", lambda *_: 128.0)
    command(*SEARCH, "--study", "s", "--trials", "1")
    for arguments, message in (
        (["--study", "s", "--seed", "3"], "exists with another seed (0)"),
        (["--storage", "redis://host"], "unknown scheme"),
    ):
        code, out, err = command(*SEARCH, "--plan", *arguments)
        assert (code, out) == (2, "")
        assert message in err


def test_ctrl_c_in_a_plan_is_an_interruption(command, instant, monkeypatch):
    monkeypatch.setattr("skexplore.training.measure", die)
    code, out, err = command(*SEARCH, "--plan")
    assert (code, out) == (130, "")
    assert "nothing was trained or written" in err


BEFORE = (  # the display stands, in the order in which they are called
    "skexplore.plan.search.Space.load",
    "skexplore.cli.display.error_console",
)
AFTER = (
    "skexplore.engine.run.default_devices",
    "skexplore.cli.display.Reporter.__enter__",
    "skexplore.engine.run.check_storage",
    "skexplore.engine.run.prepare_data",
    "skexplore.study.live.Store.__enter__",
    "skexplore.engine.run.Coordinator.run",
    "skexplore.engine.coordinator.Pool",
)
WITHOUT_ANCHORS = (*SEARCH, "--study", "s", "--trials", "1", "--anchors", "none")


def pressing(monkeypatch, point, *, lost):
    """Press Ctrl-C once where ``point`` is called; lost: what that raises is dropped, as Python does in callbacks."""
    real, pressed = pkgutil.resolve_name(point), []

    def press(*args, **kwargs):
        if not pressed:
            pressed.append(point)
            with suppress(*[KeyboardInterrupt] if lost else []):
                signal.raise_signal(signal.SIGINT)
        return real(*args, **kwargs)

    monkeypatch.setattr(point, press)
    return pressed


@pytest.mark.parametrize("lost", [True, False], ids=["lost", "raised"])
@pytest.mark.parametrize("point", [*BEFORE, *AFTER])
def test_ctrl_c_at_any_point_of_the_start_is_not_lost(command, instant, monkeypatch, point, lost):
    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patch:
        pressed = pressing(patch, point, lost=lost)
        code, _, err = command(*WITHOUT_ANCHORS)
    assert (code, pressed) == (130, [point])
    assert ": training" not in err  # none was begun
    assert "Repeat the same command" in err or not lost
    assert Path("studies").exists() <= (point in AFTER)
    assert signal.getsignal(signal.SIGINT) is before
    assert command(*WITHOUT_ANCHORS)[0] == 0


def test_ctrl_c_before_a_plan_is_not_lost(command, instant, monkeypatch):
    monkeypatch.setattr("skexplore.training.measure", lambda *_: 128.0)
    pressing(monkeypatch, BEFORE[0], lost=True)
    code, out, err = command(*WITHOUT_ANCHORS, "--plan")
    assert (code, out) == (130, "")
    assert "nothing was trained or written" in err


def test_an_own_block_that_could_not_be_trained_is_a_failed_check(command, instant, monkeypatch):
    def fails(job):
        return Outcome(key=job.spec.key, status="failed", reason="RuntimeError: no")

    monkeypatch.setattr(coordinator, "Pool", lambda devices, log: InstantPool(devices, log, fails))
    code, out, _ = command("train", "k3+k1", "--profile", "tiny", "--workers", "1")
    assert code == 1
    assert "failed" in out


def test_an_own_block_that_an_anchor_has_measured_is_done(command, instant):
    command(*SEARCH, "--study", "s", "--trials", "1")
    code, out, err = command("train", "k3+k3d2", "--study", "s", "--seeds", "2")
    assert code == 0, err
    assert out.count("yours") == 2


def test_an_unknown_study_is_not_begun_by_a_slip(command, instant):
    code, _, err = command("train", "k3+k3d2", "--study", "nope")
    assert code == 2
    assert "--study nope: no study of that name (here: none yet)" in err
    assert not Path("studies").exists()
    assert command("train", "k3+k3d2", "--study", "nope", "--profile", "tiny")[0] == 0


def test_an_own_block_over_the_budget_is_trained_and_said_to_be(command, instant):
    command(*SEARCH, "--study", "s", "--trials", "1")
    code, _, err = command("train", "k3+k5", "--study", "s")
    assert code == 0
    assert "over the study's budget" in err


def test_an_own_block_of_before_is_no_anchor(command, instant):
    command(*SEARCH, "--study", "s", "--anchors", "none", "--trials", "1")
    command("train", "k3+k1", "--study", "s")
    out = command("train", "k3+k5g64", "--study", "s")[1]
    assert (out.count("yours"), out.count("own block"), out.count("anchor")) == (1, 1, 0)


def test_training_an_own_block(command, instant):
    code, out, err = command("train", "k3+k1/r8", "--profile", "tiny", "--seeds", "2", "--workers", "1")
    assert code == 0, err
    assert out.count("yours") == 2
    code, out, _ = command(
        "train", "k3+k1/r8", "--profile", "tiny", "--seeds", "2", "--workers", "1", "--json"
    )
    found = json.loads(out)
    assert (found["study"], len(found["trainings"])) == ("synthetic-own-tiny-s0", 2)
    row = json.loads(command("status", "synthetic-own-tiny-s0", "--json")[1])
    assert [row[name] for name in ("state", "asked", "trained", "complete", "target", "best_block")] == [
        "finished", 2, 2, 2, 2, None,
    ]  # fmt: skip
    said = " ".join(command("status")[1].splitlines()[1].split())
    assert said == "synthetic-own-tiny-s0 finished 2 2 own trainings own trainings"
    assert "anchors" not in command("status", "synthetic-own-tiny-s0")[1]
    command(*SEARCH, "--study", "s")
    code, out, _ = command("train", "k3+k1/r8", "--study", "s", "--workers", "1")
    assert code == 0
    assert (out.count("yours"), out.count("anchor")) == (1, 4)
    assert json.loads(command("status", "s", "--json")[1])["trained"] == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search"], "give a budget"),
        ([*SEARCH, "--mode", "both"], "must be one of constrained, pareto"),
        ([*SEARCH, "--sampler", "grid"], "must be one of tpe, model, random, nsga2, gp"),
        ([*SEARCH, "--pruner", "median"], "must be one of rungs, none"),
        ([*SEARCH, "--anchors", "three"], "must be one of two, table6"),
        ([*SEARCH, "--keep-weights", "some"], "must be one of front, anchors, all, none"),
        ([*SEARCH, "--dataset", "mnist"], "unknown dataset"),
        ([*SEARCH, "--backbone", "sknet50"], "images of 224 pixels"),
        ([*SEARCH, "--storage", "redis://host"], "unknown scheme"),
        ([*SEARCH, "--time-limit", "soon"], "must be a time such as"),
        ([*SEARCH, "--enqueue", "k4"], "must be odd"),
        ([*SEARCH, "--enqueue", "k3+k3d2/r3"], "is not in the space"),
        ([*SEARCH, "--study", "../escape"], "study name"),
        ([*SEARCH, "--study", "<b>bold</b>"], "study name"),
        ([*SEARCH, "--workers", "0"], "must be at least 1"),
        (["train", "k3", "--seeds", "0"], "--seeds 0"),
        (["train", "k3g3"], "groups that do"),
        (["train", "k3", "--profile", "fast"], "unknown profile"),
    ],
)
def test_bad_requests_exit_2_with_a_message_and_write_nothing(command, instant, arguments, message):
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert not any(Path.cwd().iterdir())


def test_another_space_mode_or_profile_for_an_existing_study_is_refused(command, instant):
    assert command(*SEARCH, "--study", "s")[0] == 0
    before = Path("studies/s/study.db").read_bytes()
    for more, what in (
        (["--space", "sk-cifar"], "another space"),
        (["--mode", "pareto"], "another mode"),
        (["--profile", "rungs"], "another recipe"),
        (["--seed", "1"], "another seed"),
    ):
        code, _, err = command(*SEARCH, "--study", "s", *more)
        assert (code, what in err) == (2, True), err
    assert Path("studies/s/study.db").read_bytes() == before


def test_help_says_what_other_samplers_do_not_learn(command):
    out = command("search", "--help")[1]
    assert "teach nsga2 and gp" in out.replace("\n", " ").replace("  ", " ")


def test_activations_are_a_column_where_they_are_limited(command, instant):
    code, out, err = command(*SEARCH, "--budget-activations", "17.5", "--study", "limited")
    assert code == 0, err
    assert "activations (M)" in out
    assert "activations" not in command(*SEARCH, "--study", "free")[1]
