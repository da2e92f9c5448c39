"""The checklist of honest reporting: every answer flips with the record that decides it."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from support.studies import ANCHORS, EDGE_CASES, NOISE_KEY, SPEC, know_noise, only, record, synthetic

from skexplore.analysis.checklist_search import SEARCH, Item, _variants, checklist
from skexplore.analysis.checklist_training import TRAININGS
from skexplore.arch.costs import arch_id
from skexplore.arch.notation import parse_blocks
from skexplore.cli.search import app
from skexplore.engine.run import environment
from skexplore.study.priors import PRIORS
from skexplore.study.record import THEN
from skexplore.study.store import load_study
from skexplore.study.study import Study

ENVIRONMENT = {
    "skexplore": "0.1.0", "python": "3.13", "torch": "2.15", "system": "Linux", "cores": "2", "cpu": "A CPU, AVX2",
    "workers": "2 x cpu",
}  # fmt: skip
SPACE = {"space_base": "k3", "space_decisions": {"branches.1": ["k1", "k3"], "fuse": ["select", "sum"]}}
STUDY = synthetic(environment=ENVIRONMENT)
STUDY = replace(STUDY, spec=replace(STUDY.spec, **SPACE))


def answer(question: str, study: Study = STUDY, *beside: Study) -> Item:
    """Return the one item whose question holds these words."""
    (found,) = [item for item in checklist(study, beside) if question in item.question]
    return found


def named(name: str, study: Study = STUDY, **changes) -> Study:
    return replace(study, spec=replace(study.spec, name=name, **changes))


def changed(number: int, **changes) -> Study:
    """Return the study with its trial ``number`` changed."""
    return STUDY.with_records(
        replace(each, **changes) if (each.origin, each.number) == ("search", number) else each
        for each in STUDY.records
    )


def trained_by(block: str, *seeds: int, error: float = 0.41):
    """Return complete trainings of a user's block by these seeds."""
    return [
        record(10 + seed, block, "complete", error, 6, origin="anchor", sampler="user", seed=seed)
        for seed in seeds
    ]


def test_a_study_of_a_search_is_asked_everything_and_one_of_trainings_less():
    assert [item.question for item in checklist(STUDY)] == [question for question, _ in SEARCH + TRAININGS]
    assert len({question for question, _ in SEARCH + TRAININGS}) == len(SEARCH + TRAININGS)
    own = replace(STUDY, spec=replace(STUDY.spec, sampler="none"), records=ANCHORS, target=0)
    assert [item.question for item in checklist(own)] == [question for question, _ in TRAININGS]


@pytest.mark.parametrize("case", EDGE_CASES)
def test_every_item_of_every_study_has_evidence_and_what_is_undone_a_way(case):
    for item in checklist(EDGE_CASES[case], [named("other", STUDY)]):
        assert item.evidence
        assert "None" not in item.evidence.replace("None. ", "")
        if item.done is False and "failures" not in item.question:
            assert "skexplore " in item.evidence


def test_the_search_space_on_record():
    assert answer("search space").done is True
    assert "2 decisions, 4 combinations" in answer("search space").evidence
    assert answer("search space", synthetic()).done is False


def test_settings_of_the_sampler_are_unknown_unless_it_has_none():
    assert answer("sampler's own settings").done is None
    assert "tpe" in answer("sampler's own settings").evidence
    assert answer("sampler's own settings", named("r", sampler="random")).done is True


def test_random_search_beside_it_with_as_many_trainings():
    rival = named("rival", seed=1, sampler="random")
    rival = rival.with_records(
        replace(each, arch_id=f"{each.arch_id}-1", key=f"{each.key}-1") for each in rival.records
    )
    assert answer("random search", STUDY, rival).done is True
    assert (
        "rival: 13 trained, lowest 40.20 %; here 13 trained" in answer("random search", STUDY, rival).evidence
    )
    assert answer("random search", rival).done is True
    fewer = replace(rival, records=rival.records[:-1])
    short = answer("random search", STUDY, fewer)
    assert short.done is False
    assert "12 trained" in short.evidence
    assert "--sampler random" in short.evidence
    assert "--trials 13 --replicates 0 --study rival" in short.evidence
    missing = answer("random search")
    assert missing.done is False
    assert "--sampler random" in missing.evidence
    assert missing.evidence.endswith(
        "--study synthetic-random && skexplore report synthetic synthetic-random"
    )
    for other in (
        named("x", sampler="random", space_hash="other"),
        named("x", sampler="random", budget_gflops=4.0),
        named("x", sampler="gp"),
    ):
        assert answer("random search", STUDY, other).done is False


def test_random_search_that_tried_the_same_blocks_compares_nothing():
    found = answer("random search", STUDY, named("rival", sampler="random"))
    assert found.done is False
    assert "13 blocks are the same" in found.evidence
    assert "--trials 23" in found.evidence


def sharing(count: int) -> Study:
    """Return a random search of which ``count`` trainings of 13 are ``STUDY``'s."""
    left = iter(range(count))
    return named("rival", sampler="random").with_records(
        each
        if each.origin != "search"
        or each.status not in ("complete", "stopped")
        or next(left, None) is not None
        else replace(each, arch_id=f"{each.arch_id}-1", key=f"{each.key}-1")
        for each in STUDY.records
    )


def test_a_random_search_of_which_most_trainings_are_shared_compares_too_little():
    for count, done in ((0, True), (6, True), (7, False), (12, False)):
        found = answer("random search", STUDY, sharing(count))
        assert found.done is done
        assert (f"{count} of the 13 trainings here are shared" in found.evidence) == (count > 0)
    assert "Only 6 are compared" in answer("random search", STUDY, sharing(7)).evidence
    assert "--sampler random --anchors two --seed 1" in answer("random search", STUDY, sharing(7)).evidence
    # of two such searches the one that tells more
    assert answer("random search", STUDY, sharing(12), named("x", sharing(2))).done is True


def test_several_runs_by_different_seeds():
    one, two = named("one", seed=1), named("two", seed=2)
    assert answer("several times", STUDY, one, two).done is True
    assert "seed 2: 13 trained, lowest 40.20 %" in answer("several times", STUDY, one, two).evidence
    found = answer("several times", STUDY, one, named("again", seed=1))
    assert found.done is False
    assert found.evidence.startswith("2 of at least 3 runs")
    assert "--seed 2 " in found.evidence
    assert answer("several times", STUDY, one, named("two", seed=2, sampler="random")).done is False
    assert answer("several times", STUDY, one, replace(two, records=())).done is False


def test_an_ablation_is_one_part_less_each_with_several_trainings():
    study = only(("k3+k3d2", "complete", 0.40, 6), environment=ENVIRONMENT)
    variants = ["k3", "k3d2", "k3+k3d2/sum"]
    found = answer("parts of the best", study)
    assert found.done is False
    assert found.evidence.startswith("0 of 3 blocks")
    for block in variants:
        assert (
            shlex.join(["skexplore", "train", block, "--study", "synthetic", "--seeds", "3"])
            in found.evidence
        )
    some = [each for block in variants for each in trained_by(block, 0, 1, 2)]
    whole = answer("parts of the best", study.with_records([*some, *study.records]))
    assert whole.done is True
    assert "k3d2 41.00 % (n = 3)" in whole.evidence
    less = answer("parts of the best", study.with_records([*some[1:], *study.records]))
    assert less.done is False
    assert "skexplore train k3 " in less.evidence
    assert answer("parts of the best", only(("k3", "complete", 0.4, 6))).done is True
    assert answer("parts of the best", only()).done is False


@pytest.mark.parametrize(
    ("block", "wanted"),
    [
        ("k3", set()),
        ("k3+k5/sum", {"k3", "k5"}),
        ("k3+k3", {"k3", "k3+k3/sum"}),
        ("k1+k3+k5/r8", {"k1+k3/r8", "k1+k5/r8", "k3+k5/r8", "k1+k3+k5/sum"}),
        ("k3;k3;k3;k3+k5", {"k3;k3;k3;k5", "k3", "k3;k3;k3;k3+k5/sum"}),
    ],
)
def test_variants_have_one_part_less(block, wanted):
    found = _variants(parse_blocks(block))
    assert {arch_id(form) for form in found} == {arch_id(form) for form in wanted}
    assert len(found) == len(wanted)


def test_the_best_block_trained_again_by_other_seeds():
    missing = answer("trained again")
    assert missing.done is False
    assert missing.evidence.endswith(
        "To do it: skexplore confirm synthetic && skexplore report synthetic synthetic-confirm"
    )
    best = STUDY.best
    said = f"{100 * best.val_error:.2f} % in the search, no other seed; of the front, 0 of {len(STUDY.front)}"
    assert said in missing.evidence
    fresh = trained_by(best.block, 1, 2, 3, error=0.4)  # higher ones would name another block best
    again = answer("trained again", STUDY.with_records([*fresh, *STUDY.records]))
    assert again.done is True
    assert "40.00 % over n = 3 other seeds; of the front, 1 of " in again.evidence
    for seeds in ((0, 1, 2), (1, 2, 2)):  # the search's own seed is no other one, nor is one twice
        assert (
            answer(
                "trained again",
                STUDY.with_records([*trained_by(best.block, *seeds, error=0.4), *STUDY.records]),
            ).done
            is False
        )


def test_a_command_is_ours_whatever_the_records_say():
    said = "0.1: skexplore export x; rm -rf / #"
    study = replace(STUDY, archived=False, environment=STUDY.environment | {"skexplore": said, "cpu": said})
    commands = [item.command for item in checklist(study) if item.command]
    assert commands
    assert not any("rm -rf" in command for command in commands)
    assert all(item.evidence.endswith(item.command) for item in checklist(study))
    assert not any(item.command for item in checklist(replace(study, archived=True)))


def test_a_confirmation_beside_the_search_has_trained_its_best_block_again(monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    search, confirmation = load_study("first-search"), load_study("first-search-confirm")
    found = answer("trained again", search, confirmation)
    assert found.done is True
    assert "26.28 % on validation and 26.47 % on test over n = 3 fresh seeds" in found.evidence
    assert "first-search-confirm" in found.evidence
    half = confirmation.with_records(
        each for each in confirmation.records if each.seed != confirmation.spec.seed
    )
    begun = answer("trained again", search, half)
    assert begun.done is False
    assert "To go on: skexplore confirm first-search" in begun.evidence
    # a better block that was found since is not among the finalists
    better = [
        replace(each, val_error=0.28) if each.number == 6 and each.origin == "search" else each
        for each in search.records
    ]
    later = answer("trained again", search.with_records(better), confirmation)
    assert later.done is False
    assert "skexplore confirm first-search --study first-search-confirm-6 " in later.evidence
    # its recipe is another, which is no fault of the comparison of searches
    for question in ("trained and judged", "hardware"):
        assert answer(question, search, confirmation) == answer(question, search)


def test_quality_over_cost_needs_every_curve():
    assert answer("over cost").done is True
    assert answer("over cost").evidence.startswith("13 trainings")
    for lost in (changed(2, curve=()), changed(2, seconds=0.0)):
        assert answer("over cost", lost).done is False
        assert "trials 2." in answer("over cost", lost).evidence
    assert answer("over cost", only(anchors=True)).done is False


def test_a_search_that_used_its_space_up_has_ended():
    short = replace(STUDY, target=99)
    assert answer("search finish", short).done is False
    found = answer("search finish", replace(short, state="exhausted"))
    assert found.done is True
    assert "nothing new" in found.evidence


def test_going_on_keeps_the_weights_that_the_study_keeps():
    kept = replace(STUDY, target=99, spec=replace(STUDY.spec, keep_weights="all"))
    assert "--keep-weights all" in answer("search finish", kept).evidence
    assert "--keep-weights" not in answer("search finish", replace(STUDY, target=99)).evidence


def test_the_end_of_the_search():
    assert answer("search finish").done is True
    assert "13 of 13 trials trained" in answer("search finish").evidence
    assert answer("search finish", replace(STUDY, target=14)).done is False
    assert "--trials 14" in answer("search finish", replace(STUDY, target=14)).evidence
    more = record(30, "k5", "running", None, 0)
    assert answer("search finish", STUDY.with_records([*STUDY.records, more])).done is False


def test_code_is_unknown_and_a_version_missing_is_undone():
    assert answer("code").done is None
    assert "skexplore 0.1.0" in answer("code").evidence
    assert answer("code", synthetic()).done is False


def test_command_and_seeds():
    assert answer("seeds on record").done is True
    assert "of trainings 0, 1." in answer("seeds on record").evidence
    unnamed = answer("seeds on record", replace(STUDY, command=""))
    assert unnamed.done is False
    assert "skexplore search --budget-gflops 4.5" in unnamed.evidence


def test_one_protocol_for_all():
    assert answer("trained and judged").done is True
    assert answer("trained and judged").evidence.startswith(
        "17 trainings, 4 of them beside the search: 6 epochs"
    )
    odd = answer("trained and judged", changed(2, key="another"))
    assert odd.done is False
    assert "than the rest: 2." in odd.evidence
    assert answer("trained and judged", STUDY, named("x")).done is True
    assert answer("trained and judged", only()).done is False


def test_published_blocks_by_the_same_recipe():
    assert answer("published").done is True
    assert answer("published").evidence == "k3 44.31 % (n = 2); k3+k3d2 41.60 % (n = 2)."
    own = STUDY.with_records([*trained_by("k9", 0), *STUDY.searched])
    assert answer("published", own).done is False
    assert "skexplore train k3+k3d2 --study synthetic --seeds 3" in answer("published", own).evidence


def test_noise_needs_degrees_of_freedom(monkeypatch):
    assert answer("noise").done is False
    assert "2 degrees of freedom are fewer than 6" in answer("noise").evidence
    # the paper's block has two seeds: four more make six degrees of freedom of the two that are there
    assert "skexplore train k3+k3d2 --study synthetic --seeds 6" in answer("noise").evidence
    know_noise(monkeypatch)
    assert answer("noise").done is True
    assert "(30 degrees of freedom, 28 of them from earlier studies)" in answer("noise").evidence
    single = STUDY.with_records([ANCHORS[0], ANCHORS[2], *STUDY.searched])
    assert answer("noise", single).done is True
    monkeypatch.delitem(PRIORS, NOISE_KEY)
    assert answer("noise", single).done is False


def test_confounders_are_on_record_and_alike():
    assert answer("hardware").done is True
    assert "torch 2.15" in answer("hardware").evidence
    for name in ("python", "torch", "system", "cores", "workers"):
        without = replace(STUDY, environment={k: v for k, v in ENVIRONMENT.items() if k != name})
        assert answer("hardware", without).done is False
        assert f"Not on record: {name}." in answer("hardware", without).evidence
        assert "--study synthetic-again" in answer("hardware", without).evidence
    nameless = answer("hardware", replace(STUDY, environment={**ENVIRONMENT} | {"cpu": ""}))
    assert nameless.done is False
    assert "Not on record: cpu model. On record: python 3.13," in nameless.evidence
    assert set(ENVIRONMENT) <= set(environment(["cpu"]))
    moved = replace(STUDY, environment=ENVIRONMENT | {"cores": f"2{THEN}64"})
    assert answer("hardware", moved).done is False
    two = STUDY.with_records(replace(each, device=f"CPU {each.number % 2}") for each in STUDY.records)
    assert answer("hardware", two).done is False
    assert "Trainings on CPU 0 (" in answer("hardware", two).evidence
    one = STUDY.with_records(replace(each, device="CPU 0") for each in STUDY.records)
    assert answer("hardware", one).done is True
    assert "cores 2, then 64" in answer("hardware", moved).evidence
    same = named("same")
    assert answer("hardware", STUDY, same).done is True
    other = answer(
        "hardware", STUDY, same, replace(named("other"), environment=ENVIRONMENT | {"cores": "64"})
    )
    assert other.done is False
    assert "other: cores 2 here, 64 there" in other.evidence


def test_the_whole_cost():
    found = answer("whole cost")
    images = sum(each.images for each in STUDY.records)
    assert found.done is True
    assert found.evidence.startswith(f"{images:,} images and 0.1")
    assert "of 20 proposals 4 were refused and 1 known" in found.evidence
    free = STUDY.with_records(replace(each, seconds=0.0) for each in STUDY.records)
    assert answer("whole cost", free).done is False


def test_failures_need_a_reason():
    assert answer("failures").done is True
    assert answer("failures").evidence.startswith("2 of 24 records")
    silent = answer("failures", changed(10, reason=""))
    assert (silent.done, silent.evidence[:10]) == (False, "Trials 10 ")


def test_errors_of_the_last_epoch():
    assert answer("last epoch").done is True
    lowest = changed(2, val_error=0.3)
    assert answer("last epoch", lowest).done is False
    assert "of 2." in answer("last epoch", lowest).evidence
    short = changed(2, curve=STUDY.searched[2].curve[:5], val_error=STUDY.searched[2].curve[4].val_error)
    assert answer("last epoch", short).done is False


@pytest.mark.parametrize(
    ("train", "val", "done"), [(45_000, 5_000, True), (50_000, 5_000, False), (45_000, 10_000, False)]
)
def test_the_test_set_is_out_of_reach_of_the_training_files_images(train, val, done):
    split = replace(SPEC.split, train_images=train, val_images=val)
    found = answer("test set", named("x", split=split))
    assert found.done is done
    assert f"{train:,}" in found.evidence


def test_commands_are_ones_that_the_command_line_takes():
    """What is proposed is parsed by the commands themselves, with every option that it names."""
    from typer.main import get_command

    group = get_command(app)
    other = named("x", mode="pareto", budget_gflops=None, rungs=(2, 6), budget_params_m=28.0)
    for study, option in ((STUDY, "--space 'my space.yaml'"), (other, "'--space=my space.yaml'")):
        typed = replace(study, command=f"skexplore search {option}", target=20)
        for item in checklist(typed):
            if item.done is not False or "skexplore search" not in item.evidence:
                continue
            command = "skexplore search" + item.evidence.split("skexplore search", 1)[1].split(" && ")[0]
            words = shlex.split(command)
            assert words[words.index("--space") + 1] == "my space.yaml"
            search = group.commands[words[1]]
            search.make_context("search", words[2:], resilient_parsing=False)


def test_the_committed_studies_say_what_they_are(monkeypatch):
    monkeypatch.chdir(Path(__file__).parents[2])
    items = checklist(load_study("first-search"), [load_study("first-random")])
    undone = [item.question for item in items if item.done is False]
    assert len(undone) == 3
    (random,) = [item for item in items if "random search" in item.question]
    assert random.done is True
    assert "0 blocks are the same" in random.evidence
