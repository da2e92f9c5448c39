"""Ablations from their files to finished studies: designs, plans, resuming, reuse, and wrong input."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from instant import InstantPool, die, error_of, pressed_after

from skexplore import coordinator
from skexplore.ablate import AblationRequest, plan_ablation
from skexplore.block import parse_block
from skexplore.errors import UserError
from skexplore.job import Outcome
from skexplore.launch import Run, run_plan
from skexplore.recipe import PROFILES
from skexplore.record import cells
from skexplore.report import write_report
from skexplore.request import plan_training
from skexplore.store import Store, archive, load_study
from skexplore.study_file import load_definition, shipped_studies
from skexplore.variants import Base, base_of, expand

SMALL = """
name: small
table: "7"
profile: tiny
seeds: 2
baseline: k3+k3d2
leave_one_out:
  attention: {fuse: sum}
  second branch: {branches.2: none}
  BN in fuse: {fuse_norm: false}
together:
  both: [attention, BN in fuse]
one_at_a_time:
  reduction: [8, 16]
  gate: [none, se]
"""
ROWS = """
name: rows
profile: tiny
seeds: 2
baseline: K3
rows:
  - {name: K3, block: k3}
  - {name: SK, system: sknet50}
  - {name: wider, system: resnext50-wider, backbone: 9x4d-1111-c16-s2}
"""


def write(text: str, name: str = "small.yaml") -> str:
    Path(name).write_text(text)
    return name


@pytest.fixture
def instant(monkeypatch, tiny, synthetic_data):
    """Run an ablation with instant trainings."""

    def begin(plan, answer=None, interrupts=lambda: 0):
        def pool(devices, log):
            go.pool = InstantPool(devices, log, answer)
            return go.pool

        monkeypatch.setattr(coordinator, "Pool", pool)
        return run_plan(plan, Run(workers=1, data_folder=synthetic_data, interrupts=interrupts))

    def go(source: str = "small.yaml", answer=None, interrupts=lambda: 0, **changes):
        return begin(plan_ablation(AblationRequest(source=source, **changes)), answer, interrupts)

    go.begin = begin
    return go


# -- designs


def test_what_a_file_says_becomes_variants():
    design = expand(load_definition(write(SMALL.replace("profile: tiny\n", ""))), base_of("k3+k3d2"))
    named = {variant.name: (variant.block, variant.network) for variant in design.variants}
    assert design.kinds == ("one_at_a_time", "leave_one_out")
    assert design.baseline == "baseline k3+k3d2"
    assert named == {
        "baseline k3+k3d2": ("k3+k3d2", "k3+k3d2"),
        "reduction 8": ("k3+k3d2/r8", "k3+k3d2/r8"),  # reduction 16 and gate none are the baseline itself
        "gate se": ("k3+k3d2", "k3+k3d2 + se"),
        "without attention": ("k3+k3d2/sum", "k3+k3d2/sum"),
        "without second branch": ("k3", "k3"),
        "without BN in fuse": ("k3+k3d2", "k3+k3d2 without BN in fuse"),
        "without both": ("k3+k3d2/sum", "k3+k3d2/sum without BN in fuse"),
    }
    printed = {v.name: v.printed.error_pct for v in design.variants if v.printed}
    assert printed == {
        "baseline k3+k3d2": 20.79,
        "without attention": 21.76,
        "without second branch": 22.23,
    }  # "without both" is that sum again (it has no BN in fuse to lose): a row of the paper counts once


@pytest.mark.parametrize("name", sorted(shipped_studies()))
def test_a_shipped_study_can_be_planned(name):
    definition = load_definition(name)
    plan = plan_ablation(AblationRequest(source=name))
    design = plan.spec.ablation
    assert definition.name == name == plan.spec.name
    assert len(plan.beside) == design.trainings, "every variant is a network of its own in its proxy"
    assert design.baseline in [variant.name for variant in design.variants]


@pytest.mark.parametrize(
    ("name", "rows"), [("table3", 5), ("table5", 5), ("table5-small", 5), ("table6", 5), ("table7", 11)]
)
def test_the_papers_tables_are_whole_and_stand_beside(name, rows):
    design = plan_ablation(AblationRequest(source=name)).spec.ablation
    assert sorted(variant.printed.row for variant in design.variants) == list(range(1, rows + 1))
    assert all(variant.printed.error_pct for variant in design.variants)


def test_the_file_of_a_table_is_that_table():
    """Printed numbers, typed here from the paper: they must reach the variant of that row."""
    design = plan_ablation(AblationRequest(source="table7")).spec.ablation
    printed = {variant.name: variant.printed for variant in design.variants}
    assert (printed["K3+K5+K7 SK"].error_pct, printed["K3+K5+K7 SK"].gflops) == (20.76, 4.70)
    assert (printed["K7"].error_pct, printed["K5+K7 sum"].error_pct) == (25.51, 23.64)


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
    monkeypatch.setattr("skexplore.ablate._baseline", lambda _: Base(block="k3+k7"))
    with pytest.raises(UserError, match=r"has the baseline .*, which is now"):
        instant("small.yaml")


@pytest.mark.parametrize("first", ["ablation", "own"])
def test_an_ablation_and_own_trainings_keep_apart(instant, command, first):
    if first == "ablation":
        instant(write(ROWS, "rows.yaml"))
        code, _, err = command("train", "k5", "--study", "rows")
        assert (code, "its design says what is trained there" in err) == (2, True), err
        return
    plan = plan_training(
        (parse_block("k3"),), profile="tiny", dataset=None, backbone=None, seeds=1, seed=0, study="rows"
    )
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


def test_measurements_of_another_recipe_are_refused_by_name(instant, monkeypatch):
    instant(write(ROWS, "rows.yaml"))
    monkeypatch.setitem(
        PROFILES, "tiny", replace(PROFILES["tiny"], recipe=replace(PROFILES["tiny"].recipe, lr=0.3))
    )
    with pytest.raises(UserError, match="--reuse rows: it has another recipe"):
        instant(write(SMALL), reuse=("rows",))
    with pytest.raises(UserError, match="study rows exists with another recipe"):
        instant("rows.yaml")


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


def test_a_training_that_fails_twice_leaves_its_reason(instant):
    def answer(job):
        if job.spec.block == "k3":
            return Outcome(key=job.spec.key, status="failed", reason="out of memory")
        return error_of(job)

    study = instant(write(ROWS, "rows.yaml"), answer=answer)
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
    best = run().best()
    text = "name: knobs\nprofile: tiny\nbaseline: best:s\none_at_a_time: {fuse: [select, sum], reduction: [4, 32]}\n"
    design = plan_ablation(AblationRequest(source=write(text))).spec.ablation
    assert design.variants[0].block == best.block
    assert design.baseline == "baseline best:s"
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
    assert (begun["state"], begun["target"]) == ("interrupted", 14)
    assert 0 < begun["trained"] < 14
    instant("small.yaml")
    _, out, _ = command("status", "small", "--json")
    done = json.loads(out)
    assert (done["state"], done["trained"], done["failed"], done["running"]) == ("finished", 14, 0, 0)


def test_one_and_one_point_nought_are_one_recipe(instant):
    first = instant(write(ROWS + "recipe: {lr: 1}\n", "rows.yaml"))
    again = instant(write(ROWS + "recipe: {lr: 1.0}\n", "rows.yaml"))
    assert again.records == first.records


@pytest.mark.parametrize("way", ["file", "option"])
def test_the_data_set_brings_its_classes_and_its_column(tiny, way):
    text = 'name: c\ntable: "5"\ncolumn: cifar10_error_pct\nbaseline: sknet29\nbackbone: sknet29\n'
    text += "rows:\n  - {name: K3, system: resnext29-16x32d}\n"
    if way == "file":
        plan = plan_ablation(AblationRequest(source=write(text + "split: {dataset: cifar100}\n")))
    else:
        plan = plan_ablation(AblationRequest(source=write(text), dataset="cifar100"))
    assert (plan.spec.split.dataset, plan.spec.split.classes) == ("cifar100", 100)
    assert [v.printed.error_pct for v in plan.spec.ablation.variants] == [18.56, 17.33]
    assert plan.spec.name == ("c" if way == "file" else "c-cifar100")


def test_a_row_of_the_paper_stands_beside_one_variant():
    text = (
        ROWS.replace("profile: tiny\n", 'table: "7"\n')
        + "  - {name: K3 again, block: k3, backbone: 16x4d-1111-s2}\n"
    )
    design = plan_ablation(AblationRequest(source=write(text))).spec.ablation
    assert [variant.name for variant in design.variants if variant.printed] == ["K3", "SK"]


def test_every_shipped_study_is_in_the_wheel():
    root = Path(__file__).parent.parent
    told = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    files = {str(path.relative_to(root)) for path in root.glob("studies/*.yaml")}
    assert {f for f in told["force-include"] if f.startswith("studies/")} == files
    assert all(told["force-include"][name] == f"skexplore/{name}" for name in files)


# -- wrong input


def test_three_mistakes_are_all_named_with_their_paths(command):
    broken = (
        SMALL.replace("fuse: sum", "fuse: add")
        .replace("seeds: 2", "seeds: 0")
        .replace("reduction", "reductoin")
    )
    code, _, err = command("ablate", write(broken))
    assert code == 2
    assert "small.yaml: seeds: 0: must be a whole number from 1 to 1000" in err
    assert "small.yaml: leave_one_out.attention.fuse: level 'add': must be select or sum" in err
    assert "small.yaml: one_at_a_time.reductoin: unknown factor" in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (ROWS.replace("block: k3}", "block: k3, system: sknet50}"), "rows.1: give either block or system"),
        (ROWS.replace("block: k3}", "block: k4}"), "rows.1.block: block 'k4'"),
        (ROWS.replace("name: SK,", "name: K3,"), "rows.2.name: K3: another row has that name"),
        (
            ROWS.replace("sknet50}", "sknet5}"),
            "rows.2.system: unknown system 'sknet5' (did you mean sknet50?)",
        ),
        (ROWS.replace("baseline: K3", "baseline: K5"), "baseline: K5: must be a row (K3, SK, wider)"),
        (ROWS.replace("baseline: K3\n", ""), "baseline: missing"),
        (ROWS + "recipe: {epochs: 0}\n", "recipe.epochs: 0: must be from 1 to 10,000"),
        (ROWS + "recipe: {lr: .nan}\n", "recipe.lr: nan: must be a number above 0"),
        (ROWS + "recipe: {schedule: foo}\n", "recipe.schedule: foo: must be one of one_cycle, steps"),
        (ROWS + "recipe: {momentum: 5}\n", "recipe.momentum: 5: must be at least 0 and below 1"),
        (ROWS + "recipe: {momentum: 0}\n", "recipe.momentum: 0: Nesterov's needs a momentum"),
        (ROWS + "split: {train_images: 60000}\n", "split.train_images: 60000: must be from 1 to 45,000"),
        (ROWS + "split: {dataset: mnist}\n", "split.dataset: mnist: must be one of cifar10, cifar100"),
        (ROWS.replace("profile: tiny", "profile: [tiny]"), "profile: ['tiny']: must be one of"),
        (
            SMALL.replace("[attention, BN in fuse]", "[[attention], attention]"),
            "together.both: ['attention']: no such",
        ),
        (
            "name: a\nprofile: tiny\nbaseline: k3\none_at_a_time: {reduction: [8, 32]}\n",
            "nothing differs from k3",
        ),
        (ROWS + "recipe: {lr: fast}\n", "recipe.lr: fast: must be a float"),
        (ROWS + "split: {classes: 3}\n", "split.classes: unknown key"),
        (ROWS + "table: 7\n", "table: 7: must be one of the texts"),
        (ROWS + "colum: x\n", "colum: unknown key (did you mean column?)"),
        ("name: a\nbaseline: k3\n", "top level: no variants"),
        ("- 1\n", "top level: must be a mapping"),
        (SMALL + "  fuse_norm: [off]\n", "one_at_a_time.fuse_norm: level off: must be true or false"),
        (SMALL.replace("BN in fuse]", "BN]"), "together.both: BN: no such component"),
    ],
)
def test_a_mistake_in_a_file_is_named(command, tiny, text, says):
    code, _, err = command("ablate", write(text))
    assert (code, says in err) == (2, True), err


def test_taking_away_what_is_not_there_is_refused(command, tiny):
    code, _, err = command("ablate", write(SMALL.replace("baseline: k3+k3d2", "baseline: k3+k3d2/sum")))
    assert code == 2
    assert "leave_one_out.attention: k3+k3d2/sum is the same network without it" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("tabel7",), "unknown ablation 'tabel7' (did you mean table7?)"),
        (("none.yaml",), "study file none.yaml: not found"),
        (("table7", "--seed", "-2"), "--seed -2: must be between 0 and"),
        (("table7", "--seeds", "0"), "--seeds 0: must be between 1 and 1000"),
        (("table7", "--profile", "fast"), "unknown profile 'fast'"),
        (("sk-parts", "--backbone", "7x4d-1111"), "variant min_dim 16: floor L16 cannot be built"),
        (
            ("table3", "--backbone", "8x4d-1111-s2"),
            "--backbone 8x4d-1111-s2: wider, deeper, more cardinality",
        ),
        (("table7", "--reuse", "nothing"), "no study at studies/nothing"),
        (("table7", "--study", "a/b"), "study name 'a/b'"),
    ],
)
def test_a_wrong_command_says_what_to_do(command, arguments, says):
    code, out, err = command("ablate", *arguments)
    assert (code, says in err, out) == (2, True, ""), err


def test_a_plan_as_json_counts_what_is_left(command, instant, monkeypatch):
    instant(write(ROWS, "rows.yaml"))
    monkeypatch.setattr("skexplore.estimate.measure", lambda *_: 100.0)
    code, out, _ = command("ablate", write(SMALL), "--plan", "--json")
    plan = json.loads(out)
    assert (code, plan["anchors"], plan["seeds"], len(plan["variants"])) == (0, 12, 2, 7)
    code, out, _ = command("ablate", "small.yaml", "--plan", "--json", "--reuse", "rows")
    assert json.loads(out)["anchors"] == 8
