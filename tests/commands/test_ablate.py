"""Ablations from their files to finished studies: designs, plans, resuming, reuse, and wrong input."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from support.instant import InstantPool, die, error_of, pressed_after
from support.study_files import ROWS, SMALL, write

from skexplore.analysis.ablation import ablation_findings, effects, statements
from skexplore.arch.notation import parse_block
from skexplore.engine import coordinator
from skexplore.engine.options import Run
from skexplore.engine.run import run_plan
from skexplore.errors import StudyError, UserError
from skexplore.plan.ablation import AblationRequest, plan_ablation
from skexplore.plan.search import TrainRequest, plan_training
from skexplore.report.search import write_report
from skexplore.study.design import Variant
from skexplore.study.live import Store
from skexplore.study.recipe import PROFILES
from skexplore.study.record import Epoch
from skexplore.study.store import archive, load_study
from skexplore.study.study import cells
from skexplore.training.messages import Outcome


@pytest.fixture
def instant(monkeypatch, tiny, synthetic_data):
    """Run an ablation with instant trainings."""

    def begin(plan, answer=None, interrupts=lambda: 0, **more):
        def pool(devices, log):
            go.pool = InstantPool(devices, log, answer)
            return go.pool

        monkeypatch.setattr(coordinator, "Pool", pool)
        return run_plan(plan, Run(workers=1, data_folder=synthetic_data, interrupts=interrupts, **more))

    def go(source: str = "small.yaml", answer=None, interrupts=lambda: 0, **changes):
        return begin(plan_ablation(AblationRequest(source=source, **changes)), answer, interrupts)

    go.begin = begin
    return go


def said(study):
    return statements(study, effects(study))


# -- running


def test_every_variant_is_trained_with_every_seed(instant):
    study = instant(write(SMALL))
    found = cells(study.spec, study.records)
    assert len(found) == study.spec.ablation.trainings == 14
    assert (
        len(study.records) == 12
    )  # "both" is "attention" here: the sum has no BN in fuse, so it is one network
    assert {seed for _, seed in found} == {0, 1}
    assert study.state == "finished"
    assert len({record.key for record in study.records}) == 12
    specs = [job.spec for job in instant.pool.jobs]
    assert [spec.seed for spec in specs] == [0] * 6 + [1] * 6, "whole blocks come first"
    assert {spec.setting.gate for spec in specs} == {"", "se"}


def test_the_same_command_adds_nothing_and_more_seeds_extend_it(instant):
    first = instant(write(SMALL))
    again = instant("small.yaml")
    assert again.records == first.records
    more = instant("small.yaml", seeds=3)
    assert more.records[: len(first.records)] == first.records
    assert Counter(r.seed for r in more.records) == {0: 6, 1: 6, 2: 6}
    assert instant("small.yaml").spec.ablation.seeds == 3  # what was asked for once stays in the report
    fewer = instant("small.yaml", seeds=1)  # said so, it may be taken back; nothing is lost
    assert (fewer.spec.ablation.seeds, fewer.records) == (1, more.records)
    assert {seed for _, seed in cells(fewer.spec, fewer.records)} == {0}
    assert said(fewer)[0] == (
        "Complete trainings under seeds that are not asked for are left out: 12, of seed 1, 2."
    )


def test_what_is_printed_as_json_is_what_the_report_finds(instant, command, monkeypatch, synthetic_data):
    monkeypatch.setattr("skexplore.engine.run.prepare_data", lambda *_, **__: synthetic_data)
    monkeypatch.setattr("skexplore.training.measure", lambda *_: 100.0)
    instant(write(SMALL))
    code, out, _ = command("ablate", "small.yaml", "--json")
    assert code == 0
    assert json.loads(out) == json.loads(json.dumps(ablation_findings(load_study("small"))))
    code, out, _ = command("ablate", "small.yaml", "--plan")
    assert code == 0
    assert "12 trainings (variants that are one network share 2): nothing is left to train" in out


def test_a_baseline_that_is_anothers_twin_is_marked_at_that_ones_row(
    instant, command, monkeypatch, synthetic_data
):
    monkeypatch.setattr("skexplore.engine.run.prepare_data", lambda *_, **__: synthetic_data)
    rows = "  - {name: A, block: k3+k3d2/sum}\n  - {name: B, block: k3+k3d2/sum, fuse_norm: false}\n"
    write(f"name: small\nprofile: tiny\nseeds: 2\nbaseline: B\nrows:\n{rows}  - {{name: K3, block: k3}}\n")
    instant()
    lines = [line.split() for line in command("ablate", "small.yaml")[1].splitlines()]
    last = {words[0]: " ".join(words[-4:]) for words in lines if words and words[0] in ("A", "B")}
    assert last["A"].endswith("baseline")
    assert last["B"] == "same network as A"


@pytest.mark.parametrize("after", [1, 5, 9, 14, 20])
def test_interrupted_anywhere_it_ends_with_every_training_once(instant, after):
    with pytest.raises(KeyboardInterrupt):
        instant(write(SMALL), interrupts=pressed_after(after))
    assert load_study("small").state == "interrupted"
    study = instant("small.yaml")
    assert study.state == "finished"
    assert Counter(record.key for record in study.records).most_common(1)[0][1] == 1
    assert len(study.records) == 12


@pytest.mark.parametrize("point", ["add", "update", "finish"])
def test_killed_between_two_writes_it_ends_with_every_training_once(instant, monkeypatch, point):
    whole, calls = getattr(Store, point), 0

    def killed(self, *args, **more):
        nonlocal calls
        calls += 1
        return die() if calls == 4 else whole(self, *args, **more)

    with monkeypatch.context() as patched:
        patched.setattr(Store, point, killed)
        with pytest.raises(KeyboardInterrupt):
            instant(write(SMALL))
    study = instant("small.yaml")
    assert (study.state, len(study.records), len({r.key for r in study.records})) == ("finished", 12, 12)


def test_the_backbone_of_a_variant_is_trained_and_counted(instant):
    study = instant(write(ROWS, "rows.yaml"))
    wider = cells(study.spec, study.records)["wider", 0]
    assert wider.setting.backbone == "9x4d-1111-c16-s2"
    assert (wider.ref_params, wider.ref_macs) == (
        28_017_832,
        4_739_994_624,
    )  # ResNeXt-50, wider: 28.1M, 4.74G
    jobs = {job.spec.setting.backbone: job.spec.body.name for job in instant.pool.jobs}
    assert jobs == {"": "8x4d-1111-s2", "9x4d-1111-c16-s2": "9x4d-1111-c16-s2"}
    archive("rows")
    assert load_study("rows").records == study.records


def test_what_a_mended_file_no_longer_names_is_not_trained(instant):
    wrong = ROWS.replace("{name: SK, system: sknet50}", "{name: SK, block: k7}")
    with pytest.raises(KeyboardInterrupt):
        instant(write(wrong, "rows.yaml"), interrupts=pressed_after(1))
    study = instant(write(ROWS, "rows.yaml"))
    assert (study.state, len(cells(study.spec, study.records))) == ("finished", 6)
    assert sum(record.block == "k7" for record in study.records) <= 1  # the one in hand, if it was


def test_a_best_that_has_changed_is_no_longer_that_baseline(instant, run, monkeypatch):
    run(trials=3)
    text = "name: knobs\nprofile: tiny\nbaseline: best:s\none_at_a_time: {fuse: [select, sum], reduction: [4, 32]}\n"
    instant(write(text))
    monkeypatch.setattr("skexplore.plan.ablation._baseline", lambda *_: Variant(name="k3+k7", block="k3+k7"))
    with pytest.raises(UserError, match=r"has the baseline .*, which is now"):
        instant("small.yaml")


@pytest.mark.parametrize("first", ["ablation", "own"])
def test_an_ablation_and_own_trainings_keep_apart(instant, command, first):
    if first == "ablation":
        instant(write(ROWS, "rows.yaml"))
        code, _, err = command("train", "k5", "--study", "rows")
        assert (code, "its design says what is trained there" in err) == (2, True), err
        return
    plan = plan_training(TrainRequest(blocks=(parse_block("k3"),), profile="tiny", study="rows"))
    instant.begin(plan)
    with pytest.raises(UserError, match="study rows exists and is no ablation"):
        instant(write(ROWS, "rows.yaml"))


# -- measured before


def test_what_another_study_measured_is_not_trained_again(instant):
    first = instant(write(ROWS, "rows.yaml"))
    study = instant(write(SMALL), reuse=("rows",))
    shared = [record for record in study.records if record.replay_of]
    numbers = {record.key: record.number for record in first.records}
    assert all(r.reason == f"measured as training {numbers[r.key]} of rows" for r in shared)
    assert [(r.block, r.seed) for r in shared] == [("k3+k3d2", 0), ("k3", 0), ("k3+k3d2", 1), ("k3", 1)]
    assert [r.images for r in shared] == [0] * 4  # nothing was trained for them
    measured = {record.key: record.val_error for record in first.records}
    assert all(record.val_error == measured[record.key] for record in shared)
    assert all(job.spec.key not in measured for job in instant.pool.jobs)
    # two of seven variants are one network
    assert said(study)[0].startswith("4 of 12 trainings are taken over from rows, which measured")
    assert said(instant("small.yaml", seeds=1))[0].startswith("2 of 6 trainings are taken over")


def test_the_device_of_each_training_is_on_record_and_another_one_is_told(instant):
    def on(name):
        def answer(job):
            epochs = tuple(
                Epoch(epoch=n, train_loss=1.0, val_loss=1.0, val_error=error_of(job), seconds=1.0)
                for n in range(1, job.until + 1)
            )
            return Outcome(key=job.spec.key, status="complete", curve=epochs, device=name)

        return answer

    first = instant(write(ROWS, "rows.yaml"), answer=on("an older CPU"))
    assert {record.device for record in first.records} == {"an older CPU"}
    archive("rows")
    assert {record.device for record in load_study("rows").records} == {"an older CPU"}
    notes = []
    plan = plan_ablation(AblationRequest(source=write(SMALL), reuse=("rows",)))
    study = instant.begin(plan, on("this CPU"), on_progress=notes.append)
    assert any("trained on another device (an older CPU)" in getattr(each, "text", "") for each in notes)
    devices = [sentence for sentence in said(study) if sentence.startswith("Not all on one device")]
    assert devices == [
        "Not all on one device: 4 trainings on an older CPU; 10 trainings on this CPU. The same training gives other "
        "digits on another, as far apart as seeds."
    ]
    assert not any("Not all on one device" in sentence for sentence in said(first))


def test_measurements_of_another_recipe_are_refused_by_name(instant, monkeypatch):
    instant(write(ROWS, "rows.yaml"))
    monkeypatch.setitem(
        PROFILES, "tiny", replace(PROFILES["tiny"], recipe=replace(PROFILES["tiny"].recipe, lr=0.3))
    )
    with pytest.raises(UserError, match=r"--reuse rows: it has another recipe \(lr 0.3 here, 0.1 there\)"):
        instant(write(SMALL), reuse=("rows",))
    with pytest.raises(UserError, match="study rows exists with another recipe"):
        instant("rows.yaml")


def test_measurements_on_other_images_are_refused_by_name(instant):
    instant(write(ROWS, "rows.yaml"))
    with pytest.raises(UserError, match="--reuse rows: it has another split"):
        instant(write(SMALL + "split: {train_images: 100}\n"), reuse=("rows",))


def test_an_archive_says_how_to_go_on_from_it(instant, command):
    instant(write(ROWS, "rows.yaml"))
    archive("rows")
    Path("studies/rows/study.db").unlink()
    code, _, err = command("ablate", "rows.yaml", "--seeds", "3")
    assert code == 2
    assert "choose another --study name, and take over what it has: --study rows-more --reuse rows" in err
    code, _, err = command("ablate", "rows.yaml", "--profile", "smoke", "--study", "rows")
    assert (code, "choose another --study name\n" in err) == (2, True), err
    more = instant("rows.yaml", seeds=3, study="rows-more", reuse=("rows",))
    assert [job.spec.seed for job in instant.pool.jobs] == [2, 2, 2]
    assert said(more)[0].startswith("6 of 9 trainings are taken over from rows, which measured")


def test_another_design_does_not_take_the_place_of_a_study(instant):
    instant(write(ROWS, "rows.yaml"))
    with pytest.raises(
        UserError, match="study rows has the variants K3, SK, wider, and this design none of them"
    ):
        instant(write(SMALL.replace("name: small", "name: rows").replace("k3+k3d2", "k1+k5")))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"backbone": "16x4d-1111-s2", "study": "small"}, "another backbone"),
        ({"profile": "rungs", "study": "small"}, "another recipe"),
    ],
)
def test_a_study_of_another_scale_is_not_continued(instant, change, says):
    instant(write(SMALL))
    with pytest.raises(UserError, match=says):
        instant("small.yaml", **change)


def test_a_backbone_of_a_row_takes_over_from_a_study_of_that_backbone(instant):
    wide = "name: wide\nprofile: tiny\nbackbone: 9x4d-1111-c16-s2\nseeds: 2\nbaseline: K3\nrows:\n"
    rows = "  - {name: K3, block: k3}\n  - {name: SK, block: k3+k3d2}\n"
    instant(write(wide + rows, "wide.yaml"))
    study = instant(write(ROWS, "rows.yaml"), reuse=("wide",))
    assert cells(study.spec, study.records)["wider", 0].replay_of
    narrow = ROWS.replace("  - {name: wider, system: resnext50-wider, backbone: 9x4d-1111-c16-s2}\n", "")
    with pytest.raises(UserError, match="--reuse wide: it has another backbone"):
        instant(write(narrow.replace("name: rows", "name: narrow"), "narrow.yaml"), reuse=("wide",))


def failing(*blocks):
    def answer(job):
        if job.spec.block in blocks:
            return Outcome(key=job.spec.key, status="failed", reason="out of memory")
        return error_of(job)

    return answer


def test_many_that_fail_do_not_keep_the_others_from_their_turn(instant):
    bad = [f"k{kernel}g{groups}" for kernel in (1, 3, 5) for groups in (4, 8, 16, 64)]
    rows = "".join(f"  - {{name: {block}, block: {block}}}\n" for block in [*bad, "k3"])
    text = f"name: small\nprofile: tiny\nseeds: 1\nbaseline: k3\nrows:\n{rows}"
    with pytest.raises(StudyError, match="10 trials in a row failed"):
        instant(write(text), answer=failing(*bad))
    with pytest.raises(StudyError, match="10 trials in a row failed"):
        instant(answer=failing(*bad))
    study = load_study("small")
    assert cells(study.spec, study.records)["k3", 0].status == "complete"


def test_a_training_that_fails_twice_leaves_its_reason(instant):
    study = instant(write(ROWS, "rows.yaml"), answer=failing("k3"))
    found = cells(study.spec, study.records)
    assert found["K3", 0].reason == "out of memory"
    assert found["SK", 0].status == "complete"
    assert study.state == "interrupted"  # the same command tries again
    mended = instant("rows.yaml")
    assert mended.state == "finished"
    assert cells(mended.spec, mended.records)["K3", 0].status == "complete"
    paths = {
        path.name: path.read_text() for path in write_report(mended, Path("report")) if path.suffix == ".md"
    }
    assert "No result of" not in paths["report.md"]


def test_the_best_of_a_search_can_be_a_baseline(instant, run):
    best = run().best
    text = "name: knobs\nprofile: tiny\nbaseline: best:s\none_at_a_time: {fuse: [select, sum], reduction: [4, 32]}\n"
    design = plan_ablation(AblationRequest(source=write(text))).spec.ablation
    assert design.variants[0].block == best.block
    assert design.baseline == "best:s"
    instant(write(ROWS, "rows.yaml"))
    with pytest.raises(UserError, match="baseline best:rows: rows is no search, and has no best trial"):
        plan_ablation(AblationRequest(source=write(text.replace("best:s", "best:rows"))))
    with pytest.raises(UserError, match="no study at studies/other"):
        plan_ablation(AblationRequest(source=write(text.replace("best:s", "best:other"))))


def test_an_ablation_has_no_trials_to_export(instant, command):
    instant(write(ROWS, "rows.yaml"))
    code, _, err = command("export", "rows")
    assert (code, "compares variants and has no trials" in err) == (2, True), err


def test_status_counts_the_cells_of_the_design(instant, command):
    with pytest.raises(KeyboardInterrupt):
        instant(write(SMALL), interrupts=pressed_after(9))
    _, out, _ = command("status", "small", "--json")
    begun = json.loads(out)
    assert (begun["state"], begun["target"]) == ("interrupted", 12)  # two of seven variants are one network
    assert 0 < begun["trained"] < 12
    instant("small.yaml")
    _, out, _ = command("status", "small", "--json")
    done = json.loads(out)
    assert (done["state"], done["trained"], done["failed"], done["running"]) == ("finished", 12, 0, 0)
    assert done["best_block"] is None
    _, out, _ = command("status", "small")
    assert "best_block      not a search" in out
    assert "none yet" not in out


def test_one_and_one_point_nought_are_one_recipe(instant):
    first = instant(write(ROWS + "recipe: {lr: 1}\n", "rows.yaml"))
    again = instant(write(ROWS + "recipe: {lr: 1.0}\n", "rows.yaml"))
    assert again.records == first.records


def test_a_plan_as_json_counts_what_is_left(command, instant, monkeypatch):
    instant(write(ROWS, "rows.yaml"))
    monkeypatch.setattr("skexplore.training.measure", lambda *_: 100.0)
    code, out, _ = command("ablate", write(SMALL), "--plan", "--json")
    plan = json.loads(out)
    assert (code, plan["anchors"], plan["seeds"], len(plan["variants"])) == (0, 12, 2, 7)
    code, out, _ = command("ablate", "small.yaml", "--plan", "--json", "--reuse", "rows")
    assert json.loads(out)["anchors"] == 8
    instant(answer=failing("k3"))
    assert json.loads(command("ablate", "small.yaml", "--plan", "--json")[1])["anchors"] == 2
