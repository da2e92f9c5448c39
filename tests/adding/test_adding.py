"""Adding takes one place: a toy of each kind is one entry or one file, and is then used as a user would."""

from __future__ import annotations

import hashlib
import json
import pkgutil
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.ablations import STUDIES
from support.instant import SMALL, TINY, InstantPool
from support.searches import RANDOM, TPE
from support.studies import synthetic
from torch import nn

from skexplore.analysis.checklist_search import checklist
from skexplore.analysis.repeats import compare
from skexplore.arch.attention import GATES, Gate, GateKind, gate_costs
from skexplore.arch.backbones import BACKBONES, get_backbone
from skexplore.arch.formulas import Cost, conv_bn_cost
from skexplore.arch.units import UNITS, UnitForm, UnitKind, UnitParts, UnitShape
from skexplore.data.cache import COMMANDS
from skexplore.data.datasets import DATASETS, DataSet, Packing
from skexplore.data.releases import DECODERS
from skexplore.engine import coordinator
from skexplore.errors import UserError
from skexplore.nn.attention import GateModule, make_gate
from skexplore.nn.flop_count import count
from skexplore.nn.network import build
from skexplore.nn.units import Unit
from skexplore.report import write
from skexplore.report.comparison import write_comparison
from skexplore.report.search import write_report
from skexplore.study.fit_recipe import FIT_RECIPES, get_fit_recipe
from skexplore.study.recipe import PROFILES, Split
from skexplore.study.samplers import SAMPLERS, Sampler
from skexplore.study.store import load_study
from skexplore.templates import TEMPLATES
from skexplore.tracking import StudyFollower, check_tracker
from skexplore.tracking.trackers import TRACKERS


@pytest.fixture
def measured(monkeypatch):
    """Plans without a measurement of speed."""
    monkeypatch.setattr("skexplore.training.measure", lambda *_, **__: 1000.0)


# -- a backbone


def test_a_backbone_is_one_entry(command, monkeypatch, measured, tiny):
    toy = replace(get_backbone("6x4d-1111-s2"), name="toy-net", classes=7)
    monkeypatch.setitem(BACKBONES, "toy-net", toy)
    code, out, err = command("cost", "k3+k3d2", "--backbone", "toy-net", "--verify", "--json")
    assert (code, json.loads(out)["backbone"], json.loads(out)["verified"]) == (0, "toy-net", True), err
    assert command("build", "--block", "k3+k3d2", "--backbone", "toy-net")[0] == 0
    search = ("search", "--budget-gflops", "4.5", "--profile", "tiny", "--backbone", "toy-net")
    assert command(*search, "--plan")[0] == 0
    assert "did you mean toy-net" in command("cost", "k3", "--backbone", "toy-nett")[2]


# -- a kind of unit


class ToyUnit(Unit):
    """The SK convolution and nothing else, in a unit that keeps its input where it can."""

    kind = "toy"
    paths = (("sk",), ("shortcut",))

    def _fill(self, make, inputs, _width, outputs, stride):
        self.sk = make.sk(inputs, outputs, stride)

    def forward(self, x):
        return self.sk(x) + self.shortcut(x)


def toy_parts(unit: UnitShape) -> UnitParts:
    changes = unit.inputs != unit.outputs or unit.stride != 1
    around = conv_bn_cost(unit.inputs, unit.outputs, 1, unit.size_out) if changes else Cost()
    return UnitParts(around, ((unit.inputs, unit.outputs),))


def test_a_kind_of_unit_is_one_entry(command, monkeypatch):
    monkeypatch.setitem(UNITS, "toy", UnitKind(make=f"{__name__}:ToyUnit", parts=toy_parts))
    toy = replace(get_backbone("8x4d-2111"), name="toy-net", unit=UnitForm(kind="toy"))
    monkeypatch.setitem(BACKBONES, "toy-net", toy)
    code, out, err = command("cost", "k3+k5", "--backbone", "toy-net", "--verify", "--json")
    assert (code, json.loads(out)["verified"]) == (0, True), err
    code, out, _ = command("build", "--block", "k3+k5", "--backbone", "toy-net", "--summary")
    assert code == 0
    assert "stages.0.0.sk.branches.1.0" in out
    with pytest.raises(UserError, match=r"bottleneck, basic, .*, toy"):
        UnitForm(kind="tow")


# -- a gate


class Toy(GateModule):
    """One linear layer on the mean."""

    sees_all = ("fc",)

    def __init__(self, channels: int, gate: Gate) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, channels)

    def forward(self, x):
        return x * self.fc(x.mean((2, 3))).sigmoid()[:, :, None, None]


def toy_cost(gate: Gate, channels: int, pixels: int) -> Cost:
    return Cost(
        params=channels**2 + channels,
        bn_stats=0,
        macs=channels**2,
        gate_macs=channels * pixels,
        activations=channels,
        bn_elements=0,
    )


TOY_ROWS = """
name: toys
profile: tiny
seeds: 2
baseline: plain
rows:
  - {name: plain, block: k3}
  - {name: toy, block: k3, gate: toy}
"""


@pytest.fixture
def toy_gate(monkeypatch):
    monkeypatch.setitem(GATES, "toy", GateKind(make=f"{__name__}:Toy", cost=toy_cost))


def test_a_gate_is_one_entry(command, monkeypatch, synthetic_data, tiny, toy_gate):
    body, gate = get_backbone("8x4d-1111-s2"), Gate(kind="toy")
    with_it, without = (count(build("k3", body, gate=each), 32) for each in (gate, None))
    for name in ("params", "macs", "activations"):  # fvcore counts what the closed form says
        own = sum(getattr(stage, name) for stage in gate_costs(gate, body))
        assert getattr(with_it, name) - getattr(without, name) == own > 0
    with pytest.raises(UserError, match="se, cbam, bam, toy"):
        Gate(kind="tow")
    Path("toys.yaml").write_text(TOY_ROWS)
    monkeypatch.setattr(coordinator, "Pool", InstantPool)
    monkeypatch.setattr("skexplore.engine.run.prepare_data", lambda *_, **__: synthetic_data)
    code, _, err = command("ablate", "toys.yaml", "--workers", "1")
    assert code == 0, err
    plain, toy = load_study("toys").records[:2]
    assert (toy.setting.gate, toy.proxy_params > plain.proxy_params) == ("toy", True)
    assert command("report", "toys", "--no-picture")[0] == 0
    assert "+ toy" in Path("reports/toys/report.md").read_text()


@pytest.mark.parametrize(("per_stage", "expected"), [(False, 4), (True, 3)])
def test_where_a_gate_stands_is_part_of_its_entry(monkeypatch, toy_gate, per_stage, expected):
    monkeypatch.setitem(GATES, "toy", replace(GATES["toy"], per_stage=per_stage))
    body, gate = get_backbone("8x4d-1111-s2"), Gate(kind="toy")
    network = build("k3", body, gate=gate)
    assert network(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert sum(isinstance(module, Toy) for module in network.modules()) == expected
    assert sum(gate.count(number, body) for number in range(4)) == expected


def test_every_gate_has_a_module():
    for kind in GATES:
        assert isinstance(make_gate(Gate(kind=kind), 32), GateModule)


# -- a data set


def toy_data(folder: Path) -> DataSet:
    """Write a synthetic data set of four classes as binary records, and return its entry."""
    random = np.random.default_rng(0)
    counts, sums = {"one": 200, "two": 120, "held_out": 40}, {}
    folder.mkdir()
    for name, size in counts.items():
        labels = np.arange(size, dtype=np.uint8) % 4
        pixels = random.integers(0, 60, (size, 3072), dtype=np.uint8) + 60 * labels[:, None]
        content = np.concatenate([labels[:, None], pixels.astype(np.uint8)], axis=1).tobytes()
        (folder / f"{name}.bin").write_bytes(content)
        sums[name] = hashlib.md5(content, usedforsecurity=False).hexdigest()
    packing = Packing(form="binary", folder="toy-bin", archive="toy.tar.gz", suffix=".bin")
    return DataSet(name="toy", title="Toy", classes=4, counts=counts, packings=(packing,), sums=sums)


def test_a_data_set_is_one_entry(command, monkeypatch, tmp_path, tiny):
    monkeypatch.setenv("SKEXPLORE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setitem(DATASETS, "toy", toy_data(tmp_path / "toy-bin"))
    given = ("--dataset", "toy", "--data-dir", str(tmp_path))
    code, out, err = command("data", "fetch", *given)
    assert (code, "320 images of 4 classes" in out) == (0, True), err
    code, out, err = command(
        "train", "k3", "--profile", "tiny", *given[:2], "--workers", "1", "--json"
    )  # in a real worker process, which gets the data from the cache
    assert code == 0, err
    (row,) = json.loads(out)["trainings"]
    assert (row["status"], row["images"]) == ("complete", 2 * 128)
    assert row["val_error"] < 0.75  # better than chance
    assert (
        "known: cifar10, cifar100, svhn, toy"
        in command("train", "k3", "--dataset", "ty", "--profile", "tiny")[2]
    )


def test_a_profile_takes_no_more_images_than_a_data_set_has(monkeypatch, tmp_path):
    monkeypatch.setitem(DATASETS, "toy", toy_data(tmp_path / "toy-bin"))
    split = PROFILES["standard"].on(DATASETS["toy"].content).split
    assert (split.train_images, split.val_images, split.classes, split.title) == (288, 32, 4, "Toy")


@pytest.mark.parametrize(("train", "done"), [(288, True), (289, False)])
def test_the_checklist_knows_how_many_images_a_data_set_has_beside_its_test_set(
    monkeypatch, tmp_path, train, done
):
    monkeypatch.setitem(DATASETS, "toy", toy_data(tmp_path / "toy-bin"))
    split = Split(dataset="toy", classes=4, train_images=train, val_images=32)
    study = synthetic()
    items = checklist(replace(study, spec=replace(study.spec, split=split)))
    assert [item.done for item in items if "test set" in item.question] == [done]


def test_every_data_set_is_read_and_fetched_in_known_ways():
    for name, known in DATASETS.items():
        assert known.name == name
        assert {packing.form for packing in known.packings} <= set(DECODERS)
        assert set(known.downloads) <= set(COMMANDS)
        content = known.content
        assert content.train == sum(known.files("train").values())
        assert content.most_train + content.most_val(content.most_train) == content.train


# -- a sampler

TOY_SAMPLER = """
from optuna.samplers import RandomSampler

class Toy(RandomSampler):
    made = []

    def __init__(self, seed, temper):
        super().__init__(seed)
        self.made.append(temper)
"""


@pytest.fixture
def toy_sampler(monkeypatch, tmp_path):
    (tmp_path / "toy_sampler.py").write_text(TOY_SAMPLER)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(SAMPLERS, "toy", Sampler(make="toy_sampler:Toy", options={"temper": 3}, startup=2))
    yield
    sys.modules.pop("toy_sampler", None)


def test_a_sampler_is_one_entry(run, toy_sampler, command):
    study = run(sampler="toy", trials=4, anchors="none")
    chosen = [record.sampler for record in study.records if record.status == "complete"]
    assert chosen == ["random", "random", "toy", "toy"]
    assert set(sys.modules["toy_sampler"].Toy.made) == {3}
    assert command("status", "s")[0] == 0
    refused = command("search", "--budget-gflops", "4.5", "--profile", "tiny", "--sampler", "toyy")
    assert "tpe, model, random, nsga2, gp, toy" in refused[2]


def test_every_sampler_can_be_made():
    for known in SAMPLERS.values():
        if not known.models:  # that one is made of a search, see tests/engine
            assert pkgutil.resolve_name(known.make)(seed=1, **known.options)


# -- a profile


def test_a_profile_is_one_entry(command, monkeypatch, measured):
    monkeypatch.setitem(PROFILES, "toy", replace(TINY, name="toy", trials=7))
    code, out, err = command("search", "--budget-gflops", "4.5", "--profile", "toy", "--plan", "--json")
    assert (code, json.loads(out)["trials"]) == (0, 7), err
    Path("toys.yaml").write_text("name: toys\nprofile: toy\nbaseline: k3\nseeds: 2\nrows: [{block: k1}]\n")
    assert command("ablate", "toys.yaml", "--plan")[0] == 0


def test_a_recipe_of_whole_networks_is_one_entry(command, monkeypatch):
    monkeypatch.setitem(FIT_RECIPES, "toy", replace(FIT_RECIPES["paper"], epochs=2, lr=0.25))
    Path("mine.yaml").write_text("of: toy\nwarmup: 1\n")
    found = get_fit_recipe("mine.yaml")
    assert (found.epochs, found.lr, found.warmup) == (2, 0.25, 1)
    code, _, err = command("fit", "k3", "--recipe", "toys")
    assert code == 2
    assert "must be paper, paper-cifar, modern, toy or a .yaml file (did you mean toy?)" in err


def test_a_tracker_is_one_entry(monkeypatch, run):
    told = []

    def begin(folder, group):
        return lambda name, config: (
            lambda step, values: told.append((folder.name, group, step)),
            lambda _: None,
        )

    monkeypatch.setitem(TRACKERS, "toy", replace(TRACKERS["wandb"], package="json", begin=begin))
    assert check_tracker("toy") == "toy"
    run(on_progress=StudyFollower("toy", warn=print), trials=1)
    assert {(folder, group) for folder, group, _ in told} == {("s", "s")}


# -- a command

TOY_COMMAND = '''
import typer

app = typer.Typer()

@app.command()
def toy(name: str) -> None:
    """Say hello."""
    print(f"hello {name}")
'''
ADDED = """
import sys
import skexplore.cli
skexplore.cli.__path__.append(sys.argv.pop(1))
from skexplore.cli.app import main
main()
"""


def test_a_command_is_one_file(tmp_path):
    (tmp_path / "toy.py").write_text(TOY_COMMAND)

    def said(*arguments: str) -> str:
        call = [sys.executable, "-c", ADDED, str(tmp_path), *arguments]
        return subprocess.run(call, capture_output=True, text=True, check=True).stdout

    assert said("toy", "reader") == "hello reader\n"
    assert [line.split() for line in said("--help").splitlines()][-1] == ["toy", "Say", "hello."]


# -- a section of a report

TOY_SECTION = """
{% set link = "Toys & more" %}
{% set words = "<b> | *toys*" %}
{% set of = studies[0] if studies is defined else study %}

{% macro html() %}
<section id="toy">
<p>{{ words }} {{ words | code }} {{ of.spec.split.dataset }}</p>
</section>
{% endmacro %}

{% macro md() %}
## Toys

{{ words }} {{ words | code }} {{ of.spec.split.dataset }}
{% endmacro %}
"""
WRITERS = {
    "search": lambda out: write_report(synthetic(), out),
    "ablation": lambda out: write_report(STUDIES["table"], out),
    "comparison": lambda out: write_comparison(compare([*TPE, *RANDOM]), out),
}


@pytest.mark.parametrize(
    ("kind", "file", "beside"),
    [
        ("search", "35-toy", '<a href="#place">Placement</a> {} <a href="#course">'),
        ("search", "toy", ">Evidence</a> {}</nav>"),
        ("ablation", "12-toy", '<a href="#effects">Effects</a> {} <a href="#variants">'),
        ("comparison", "10-toy", '<a href="#course">Course</a> {} <a href="#volumes">'),
    ],
)
def test_a_section_of_a_report_is_one_file(monkeypatch, tmp_path, kind, file, beside):
    shutil.copytree(TEMPLATES, tmp_path / "templates")
    monkeypatch.setattr("skexplore.templates.TEMPLATES", tmp_path / "templates")
    for name in ("html_environment", "_markdown"):  # not those that this process has made before
        monkeypatch.setattr(write, name, getattr(write, name).__wrapped__)
    (tmp_path / "templates" / kind / f"{file}.j2").write_text(TOY_SECTION)
    written = {path.suffix: path.read_text() for path in WRITERS[kind](tmp_path / "report")}
    page = written[".html"]
    assert beside.format('<a href="#toy">Toys &amp; more</a>') in page
    toy = "&lt;b&gt; | *toys*"  # text, and no markup, in HTML
    assert f'\n\n<section id="toy">\n<p>{toy} {toy} cifar10</p>\n</section>\n' in page
    assert "\n\n## Toys\n\n&lt;b&gt; \\| \\*toys\\* `<b> \\| *toys*` cifar10\n" in written[".md"]
    ids = re.findall(r'<section id="([^"]+)"', page)
    links = re.findall(r'<a href="#([^"]+)"', page[page.index("<nav") : page.index("</nav>")])
    shared = {"answer", "about", "decisions", "importance", "limits", "honest", "origin"}
    assert links == [
        each for each in ids if kind != "search" or each not in shared
    ]  # with a neighbour's link


# -- a space, an ablation


def test_a_space_is_one_file(command, run):
    Path("search_spaces").mkdir()
    Path("search_spaces/small.yaml").write_text(SMALL)
    assert json.loads(command("space", "show", "small", "--json")[1])["size"] == 2
    assert "small" in command("space", "list")[1]
    assert run(space="small", trials=1).spec.space == "small"


def test_an_ablation_is_one_file(command, measured, tiny):
    Path("studies").mkdir()
    Path("studies/toys.yaml").write_text(TOY_ROWS.replace(", gate: toy", ", gate: se"))
    code, out, err = command("ablate", "toys", "--plan", "--json")
    assert code == 0, err
    assert [variant["variant"] for variant in json.loads(out)["variants"]] == ["plain", "toy"]
    assert "toys" in command("ablate", "toyz", "--plan")[2]


def test_names_of_entries_are_their_keys():
    for registry in (PROFILES, BACKBONES):
        assert all(known.name == name for name, known in registry.items())
    for profile in PROFILES.values():
        assert get_backbone(profile.backbone)
