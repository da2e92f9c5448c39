"""What searches name, judged by the truth of their worlds: against counts made here, one by one."""

from __future__ import annotations

import json
import math

import pytest
from support.small_table import NOISE

from skexplore.bench import judge, verdicts as module
from skexplore.bench.play import play
from skexplore.bench.verdicts import CONTENDERS


def test_a_played_search_is_whole_anchors_first_leaders_last(recorded):
    world = recorded.world(3)
    found = play(world, "random", 3, target=12, replicates=3, beside=module._anchors(world), workers=2).study
    assert found is not None
    origins = [record.origin for record in found.records]
    assert origins.count("anchor") == 4
    assert origins.count("replicate") == 3
    trials = [record for record in found.searched if record.status == "complete"]
    assert len(trials) == 9
    for record in found.records:
        if record.status == "complete":
            assert record.val_error == world.measure(record.block, record.seed)
    assert all(r.seed > 3 for r in found.replicates)


def test_the_verdict_is_what_the_truth_says(recorded):
    world = recorded.world(5)
    ranked = sorted(world.feasible, key=world.truths.__getitem__)
    for place in (0, 3, len(ranked) - 1):
        name = ranked[place]
        found = module._verdict(world, 0.25, name)
        assert found.better == pytest.approx(place / len(ranked))
        assert found.regret == world.truths[name] - world.truths[ranked[0]]
        assert found.beats_paper == (world.truths[name] < world.truths["k3+k3d2"])
        assert found.beats_plain == (world.truths[name] < world.truths["k3"])
        assert found.off == 0.25 - world.truths[name]


def test_shares_are_of_all_searches_and_intervals_of_those_that_have_one(recorded):
    one, two = (module._verdict(recorded.world(0), 0.3, name) for name in ("k3+k3d2", "k3"))
    rows = [
        module.replace(
            one, better=0.0, covered=True, said=0.9, beats_paper=True, set_held=True, unseen_beats_both=True
        ),
        module.replace(two, better=0.03, covered=False, said=0.5, beats_paper=False),
        module.replace(two, better=0.5),
        None,
    ]
    found = module._together("random", rows)
    assert (found.searches, found.named, found.best_5, found.best_1) == (4, 3, 0.5, 0.25)
    assert (found.covered, found.intervals) == (0.5, 2)
    assert (found.said, found.said_and_true) == (0.7, 0.5)
    assert (found.set_held, found.sets) == (1.0, 1)
    assert (found.unseen_beats_both, found.unseen) == (1.0, 1)
    assert found.regret == pytest.approx((one.regret + 2 * two.regret) / 3)
    nothing = module._together("optuna", [None])
    assert (nothing.best_5, nothing.regret, nothing.covered) == (0.0, None, None)


def test_a_search_of_all_names_nearly_the_best_and_the_lowest_error_is_shown_too_low(recorded):
    whole = len(recorded.feasible)
    (found,) = judge(recorded, trials=whole, replicates=0, repeats=4, seed=0, names=["random"])
    assert found.regret < NOISE
    assert found.intervals == 4
    first, random = judge(recorded, trials=30, replicates=0, repeats=24, seed=0, names=["first", "random"])
    assert first.off < 0  # the lowest of thirty
    assert abs(random.off) < abs(first.off)


def test_every_contender_plays_and_the_same_seed_gives_the_same(recorded):
    first, again = (judge(recorded, trials=5, replicates=1, repeats=1, seed=9) for _ in range(2))
    assert [each.name for each in first] == [*CONTENDERS]
    assert first == again
    for each in first:
        assert each.searches == 1
        assert all(
            0 <= share <= 1 for share in (each.best_5, each.best_1, each.beats_paper, each.beats_plain)
        )


@pytest.fixture
def on_synthetic(monkeypatch, synthetic_table):
    monkeypatch.setattr("skexplore.study.table.read_table", lambda _: synthetic_table)
    monkeypatch.setattr("skexplore.study.read_table", lambda _: synthetic_table, raising=False)


@pytest.mark.usefixtures("on_synthetic")
def test_the_command_prints_both_tables_and_how_they_were_made(command):
    arguments = ("bench", "search", "--table", "few", "--quick", "--trials", "5", "--replicates", "1")
    code, out, err = command(*arguments)
    assert code == 0, err
    for words in (
        "trainings until one of the best share",
        "what searches of 5 trainings name (1 of them",
        "regret",
    ):
        assert words in out
    assert "no errors of\ntrained networks" in out
    assert "nan" not in out
    code, text, _ = command(*arguments, "--json")
    found = json.loads(text)
    assert (found["trials"], found["replicates"], found["blocks"]) == (5, 1, 41)
    assert [each["name"] for each in found["verdicts"]] == [*CONTENDERS]
    assert all(math.isfinite(each["regret"]) for each in found["verdicts"])


@pytest.mark.usefixtures("on_synthetic")
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--trials", "5"), "needs --table"),
        (("--table", "few", "--space", "sk-paper"), "a table has its own"),
        (("--table", "few", "--objective", "mixed"), "a table has its own"),
        (("--table", "few", "--trials", "3", "--replicates", "3"), "must be less than --trials 3"),
    ],
)
def test_options_that_do_not_go_together_are_refused(command, arguments, words):
    code, out, err = command("bench", "search", "--quick", *arguments)
    assert (code, out) == (2, "")
    assert words in err
