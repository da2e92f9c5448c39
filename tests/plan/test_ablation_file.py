"""Files of ablations: what they mean, and every mistake named with its place."""

from __future__ import annotations

import tomllib
from dataclasses import fields, replace
from pathlib import Path

import pytest
from support.study_files import ROWS, SMALL, write

from skexplore.errors import UserError
from skexplore.plan.ablation import AblationRequest, plan_ablation
from skexplore.plan.ablation_file import RecipeChanges, SplitChanges, load_definition
from skexplore.plan.variants import base_of, expand
from skexplore.shipped import shipped
from skexplore.study.recipe import PROFILES, Recipe, Split
from skexplore.study.store import TABLE


def test_what_a_file_says_becomes_variants():
    design = expand(load_definition(write(SMALL.replace("profile: tiny\n", ""))), base_of("k3+k3d2"))
    named = {variant.name: (variant.block, variant.network) for variant in design.variants}
    assert design.kinds == ("one_at_a_time", "leave_one_out")
    assert design.baseline == "k3+k3d2"
    assert named == {
        "k3+k3d2": ("k3+k3d2", "k3+k3d2"),
        "reduction 8": ("k3+k3d2/r8", "k3+k3d2/r8"),  # reduction 16 and gate none are the baseline itself
        "gate se": ("k3+k3d2", "k3+k3d2 + se"),
        "without attention": ("k3+k3d2/sum", "k3+k3d2/sum"),
        "without second branch": ("k3", "k3"),
        "without BN in fuse": ("k3+k3d2", "k3+k3d2 without BN in fuse"),
        "without both": ("k3+k3d2/sum", "k3+k3d2/sum without BN in fuse"),
    }
    printed = {v.name: v.printed.error_pct for v in design.variants if v.printed}
    assert printed == {
        "k3+k3d2": 20.79,
        "without attention": 21.76,
        "without second branch": 22.23,
    }  # "without both" is that sum again (it has no BN in fuse to lose): a row of the paper counts once


@pytest.mark.parametrize("name", sorted(shipped("studies")))
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
    root = Path(__file__).parents[2]
    wheel = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {"studies/*.yaml", *(f"studies/{name}/*.json*" for name in TABLE)} <= {*wheel["include"]}
    assert wheel["sources"]["studies"] == "skexplore/studies"


def test_a_file_may_change_everything_of_a_recipe_and_all_of_a_split_but_its_classes():
    names = [[each.name for each in fields(kind)] for kind in (Recipe, RecipeChanges, Split, SplitChanges)]
    assert ["of", *names[0]] == names[1]
    assert [name for name in names[2] if name not in ("classes", "own")] == names[3]


def test_whole_numbers_where_fractions_may_stand_are_the_same_recipe(tiny):
    one, other = (
        plan_ablation(AblationRequest(source=write(ROWS + f"recipe: {{lr: {lr}}}\n"))) for lr in ("1", "1.0")
    )
    assert one.spec.recipe.id == other.spec.recipe.id


def test_a_file_may_begin_its_schedule_anew(tiny):
    asked = AblationRequest(source=write(ROWS + "recipe: {epochs: 9, cycles: [1, 3]}\n"))
    assert plan_ablation(asked).spec.recipe.cycles == (1, 3)


def test_a_file_may_begin_with_the_plain_optimizer_of_its_profile():
    """``of: sgd`` is what ``--recipe sgd`` takes; what else the file says goes on top of it."""
    text = ROWS.replace("profile: tiny", "profile: quick").replace(
        "wider, system: resnext50-wider, backbone: 9x4d-1111-c16-s2", "deeper, block: k3+k3"
    )
    asked = AblationRequest(source=write(text + "recipe: {of: sgd, epochs: 5}\n"))
    found, plain = plan_ablation(asked).spec, PROFILES["quick"].sgd
    assert found.recipe == replace(plain, epochs=5)
    same = plan_ablation(replace(asked, recipe="sgd", study="plain")).spec
    assert (same.recipe, same.split) == (found.recipe, found.split)


def test_another_recipe_sees_as_many_images_as_the_file_says():
    """What the file changes of its own recipe belongs to that, but not how long it trains and on what."""
    long = plan_ablation(AblationRequest(source="panel-long")).spec
    assert plan_ablation(AblationRequest(source="panel-long", recipe="sgd")).spec == replace(
        long, name="panel-long-sgd"
    )
    text = "name: own\nprofile: quick\nbaseline: k3\nrows: [{block: k3}, {block: k1}]\n"
    text += "recipe: {epochs: 2, lr: 0.01}\nsplit: {train_images: 6000}\n"
    found = plan_ablation(AblationRequest(source=write(text), recipe="sgd")).spec
    assert found.recipe == replace(PROFILES["quick"].sgd, epochs=2)
    assert found.split.train_images == 6_000


def test_images_to_judge_on_give_way_to_those_that_are_trained_on():
    text = "name: own\nprofile: quick\nbaseline: k3\nrows: [{block: k3}, {block: k1}]\n"
    for split, val in (("{train_images: 45000}", 5_000), ("{train_images: 30000}", 10_000)):
        found = plan_ablation(AblationRequest(source=write(text + f"split: {split}\n"))).spec
        assert found.split.val_images == val
    with pytest.raises(UserError, match="45,000 train_images and 6,000 val_images are more than the 50,000"):
        plan_ablation(
            AblationRequest(source=write(text + "split: {train_images: 45000, val_images: 6000}\n"))
        )


@pytest.mark.parametrize(
    ("profile", "cycles", "name"), [("standard", (3, 9), "panel-standard-rungs"), ("quick", (), "panel")]
)
def test_a_signal_is_trained_as_a_search_that_may_stop_is(profile, cycles, name):
    asked = AblationRequest(source="panel", profile=profile, rungs=True)
    found = plan_ablation(asked).spec
    assert (found.recipe.cycles, found.name) == (cycles, name)
    assert plan_ablation(replace(asked, rungs=False)).spec.recipe.cycles == ()


def test_a_signal_keeps_the_cycles_of_its_file_and_another_profile_its_own_recipe():
    text = "name: own\nprofile: quick\nbaseline: k3\nrows: [{block: k3}, {block: k1}]\n"
    source = write(text + "recipe: {of: sgd, epochs: 9, cycles: [1, 3]}\n")
    assert plan_ablation(AblationRequest(source=source, rungs=True)).spec.recipe.cycles == (1, 3)
    other = plan_ablation(AblationRequest(source=source, profile="smoke")).spec
    assert other.recipe == PROFILES["smoke"].recipe
    short = write(text.replace("quick", "standard") + "recipe: {epochs: 6}\n", "short.yaml")
    assert plan_ablation(AblationRequest(source=short, rungs=True)).spec.recipe.cycles == ()


# -- wrong input


def test_three_mistakes_are_all_named_with_their_paths(command):
    broken = (
        SMALL.replace("fuse: sum", "fuse: add")
        .replace("seeds: 2", "seeds: 0")
        .replace("reduction", "reductoin")
    )
    code, _, err = command("ablate", write(broken))
    assert code == 2
    assert "small.yaml: seeds: 0: must be a whole number from 1 to 1,000" in err
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
        (ROWS.replace("baseline: K3", "baseline: K9"), "baseline: K9: must be a row (K3, SK, wider)"),
        (ROWS.replace("baseline: K3\n", ""), "baseline: missing"),
        (ROWS + "recipe: {epochs: 0}\n", "recipe.epochs: 0: must be a whole number from 1 to 10,000"),
        (
            ROWS + "recipe: {epochs: 9, cycles: [3, 1]}\n",
            "recipe.cycles: [3, 1]: must be a list of rising epochs such as [1, 3]",
        ),
        (ROWS + "recipe: {epochs: 9, cycles: [0]}\n", "recipe.cycles.1: 0: must be a whole number from 1"),
        (
            ROWS + "recipe: {epochs: 9, cycles: [3, 9]}\n",
            "recipe.cycles: [3, 9]: must end before the last of 9 epochs",
        ),
        (ROWS + "recipe: {lr: .nan}\n", "recipe.lr: nan: must be a number above 0"),
        (ROWS + f"recipe: {{lr: 1{'0' * 400}}}\n", "must be a number above 0 and up to 1,000"),
        (ROWS + "recipe: {weight_decay: -1}\n", "recipe.weight_decay: -1: must be a number from 0 to 1,000"),
        (
            ROWS.replace("backbone: 9x4d-1111-c16-s2", "backbone: sknet50"),
            "rows.3.backbone: backbone sknet50: made for images of 224 pixels",
        ),
        (
            SMALL + "  backbone: [sknet50]\n",
            "one_at_a_time.backbone: backbone sknet50: made for images of 224 pixels",
        ),
        (SMALL.replace("  both: [", "  attention: ["), "together.attention: a component has that name"),
        (ROWS + "recipe: {schedule: foo}\n", "recipe.schedule: 'foo': must be one of one_cycle, steps"),
        (ROWS + "recipe: {momentum: 5}\n", "recipe.momentum: 5: must be a number of at least 0 and below 1"),
        (ROWS + "recipe: {momentum: 0}\n", "recipe.momentum: 0: Nesterov's needs a momentum"),
        (
            ROWS + "split: {train_images: 60000}\n",
            "split.train_images: 60,000: synthetic has 45,000 to train on at most",
        ),
        (
            ROWS + "split: {dataset: mnist}\n",
            "split.dataset: 'mnist': must be one of cifar10, cifar100, svhn, or a folder of your own images",
        ),
        (ROWS.replace("profile: tiny", "profile: [tiny]"), "profile: ['tiny']: must be one of"),
        (
            SMALL.replace("[attention, BN in fuse]", "[[attention], attention]"),
            "together.both: ['attention']: no such",
        ),
        (
            "name: a\nprofile: tiny\nbaseline: k3\none_at_a_time: {reduction: [8, 32]}\n",
            "nothing differs from k3",
        ),
        (ROWS + "recipe: {epochs: true}\n", "recipe.epochs: True: must be a whole number from 1 to 10,000"),
        (ROWS + "recipe: {batch_size: 64.0}\n", "recipe.batch_size: 64.0: must be a whole number"),
        (ROWS + "recipe: {lr: '0.1'}\n", "recipe.lr: '0.1': must be a number above 0"),
        (ROWS + "recipe: {augment: off}\n", "recipe.augment: 'off': must be true or false"),
        (ROWS + "recipe: {lr: null}\n", "recipe.lr: empty; give a number above 0 and up to 1,000, or leave"),
        (ROWS + "recipe: [lr]\n", "recipe: ['lr']: must be a mapping"),
        (ROWS + "1: x\n", "small.yaml: 1: unknown key; keys: name, "),
        (
            ROWS + "  - [block, k3]\n",
            "rows.4: ['block', 'k3']: must be a mapping such as {name: K3, block: k3}",
        ),
        (
            ROWS + "  - {block: k3, gat: se}\n",
            "rows.4.gat: unknown key (did you mean gate?); keys: name, block",
        ),
        (ROWS + "  - {block: [k3]}\n", "rows.4.block: ['k3']: must be text"),
        (ROWS.replace("name: rows\n", ""), "small.yaml: name: missing"),
        (ROWS.replace("baseline: K3", "baseline:"), "baseline: empty; give text"),
        (
            SMALL.replace("{fuse: sum}", "sum"),
            "leave_one_out.attention: 'sum': must be a mapping such as {fuse:",
        ),
        (
            SMALL.replace("{fuse: sum}", "{fuse: null}"),
            "leave_one_out.attention.fuse: level None: must be select",
        ),
        (SMALL.replace("attention: {", "1: {"), "leave_one_out.1: this key must be text"),
        (
            SMALL.replace("[attention, BN in fuse]", "[attention]"),
            "together.both: ['attention']: must be a list of two",
        ),
        (SMALL + "  null: 3\n", "one_at_a_time.None: unknown factor"),
        (SMALL.replace("together:", "together:\n  null: 3"), "together.None: this key must be text"),
        (ROWS + "recipe: {lr: fast}\n", "recipe.lr: 'fast': must be a number above 0 and up to 1,000"),
        (ROWS + "split: {classes: 3}\n", "split.classes: unknown key"),
        (ROWS + "table: 7\n", "table: 7: must be one of the texts"),
        (ROWS + "rowz: x\n", "rowz: unknown key (did you mean rows?)"),
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


ASKS = (
    "name: asks\ntable: '7'\nbaseline: K3\n"
    "rows: [{name: K3, block: k3}, {name: K5, block: k3d2}, {name: K1, block: k1}]\n"
)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("contrasts: {c: {of: [K7], against: [K3]}}", "contrasts.c: no variant 'K7'; variants: K3, K5, K1"),
        ("contrasts: {c: {of: [K5], against: [K5]}}", "contrasts.c: 'K5' is named twice"),
        (
            "contrasts: {c: {of: [], against: [K5]}}",
            "contrasts.c.of: []: must be a list of names of variants",
        ),
        ("contrasts: {c: {of: [K5]}}", "contrasts.c.against: missing"),
        ("groups: {g: [K3, K5, K9]}", "groups.g: no variant 'K9'"),
        ("groups: {g: [K3, K5]}", "groups.g: ['K3', 'K5']: must be a list of three variants or more"),
    ],
)
def test_contrasts_and_groups_name_variants_that_are_there(more, said):
    with pytest.raises(UserError) as caught:
        plan_ablation(AblationRequest(source=write(ASKS + more + "\n")))
    assert said in str(caught.value)


def test_a_group_without_a_table_has_no_order_to_be_compared_with():
    with pytest.raises(UserError, match="groups: their order is compared with the paper's: give the table"):
        plan_ablation(
            AblationRequest(source=write(ASKS.replace("table: '7'\n", "") + "groups: {g: [K3, K5, K1]}\n"))
        )


def test_contrasts_and_groups_are_kept_in_the_design():
    more = "contrasts: {c: {of: [K5, K1], against: [K3]}}\ngroups: {g: [K3, K5, K1]}\n"
    design = plan_ablation(AblationRequest(source=write(ASKS + more))).spec.ablation
    assert [(each.name, each.of, each.against) for each in design.contrasts] == [("c", ("K5", "K1"), ("K3",))]
    assert [(each.name, each.variants) for each in design.groups] == [("g", ("K3", "K5", "K1"))]


def test_a_row_of_the_paper_is_a_block_of_a_file():
    text = "name: named\nbaseline: K3+K5\nrows: [{name: sum, block: K3+K5 sum}]\n"
    design = plan_ablation(AblationRequest(source=write(text))).spec.ablation
    assert {each.name: each.block for each in design.variants} == {"K3+K5": "k3+k3d2", "sum": "k3+k3d2/sum"}
