"""The commands as typed for another reference than SKNet-50."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from skexplore.plan.ablation import AblationRequest, plan_ablation
from skexplore.space.space import Space


def test_timms_network_by_its_reference(command):
    code, out, _ = command("cost", "k3+k3d2/r8/L=16", "--reference", "skresnet18", "--json")
    row = json.loads(out)
    assert (code, row["params"], row["macs"]) == (0, 11_958_056, 1_814_337_536)
    assert (row["block"], row["backbone"]) == ("k3+k3d2/r8/L16", "skresnet18")
    assert (
        row["arch_id"]
        == json.loads(command("block", "k3d2+k3/r8/L16", "--reference", "skresnet18", "--json")[1])["arch_id"]
    )
    # as it is built in a proxy that stands for it: d keeps its share of the channels
    small = json.loads(
        command(
            "cost",
            "k3+k3d2/r8/L16",
            "--reference",
            "skresnet18",
            "--backbone",
            "1x16d-1111-basic-split",
            "--json",
        )[1]
    )
    assert [stage["d"] for stage in small["placed"]] == [[4], [4], [8], [16]]
    assert [stage["d"] for stage in row["placed"]] == [[16], [16], [32], [64]]


@pytest.mark.parametrize(
    ("name", "reference", "size", "unit"),
    [
        ("sk-light", None, 1_656, "MFLOPs"),
        ("sk-light", "mobilenetv2", 1_546, "MFLOPs"),
        ("sk-resnet", None, 265, "GFLOPs"),
        ("sk-resnet", "resnet50@160x128", 265, "GFLOPs"),
    ],
)
def test_spaces_of_other_references(command, name, reference, size, unit):
    where = ["--reference", reference] if reference else []
    code, out, err = command("space", "show", name, *where)
    assert (code, err) == (0, "")
    assert f"{size:,} distinct architectures" in out
    assert f"\n{unit} " in out
    said = reference or {"sk-light": "shufflenetv2-1.0x", "sk-resnet": "skresnet18"}[name]
    name_of, _, pixels = said.partition("@")
    assert f"{name_of} at {pixels or '224x224'}" in out
    assert f"--budget-{unit.lower()}" in out.splitlines()[-1]


def test_a_space_to_begin_from(command):
    for reference in ("shufflenetv2-1.0x", "resnet18", "mobilenetv2", "sknet101@160"):
        path = f"{reference.replace('@', '-')}.yaml"
        assert command("space", "new", path, "--reference", reference)[0] == 0
        assert Space.load(path).reference.name == reference
        assert command("space", "show", path)[0] == 0
        assert ("branches.1.groups" in Path(path).read_text()) == reference.startswith("sknet")


def test_a_light_block_stands_in_table_4(command):
    code, out, _ = command("place", "k3+k3d2/r4/L1", "--reference", "shufflenetv2-1.0x")
    assert code == 0
    assert "149.022 MFLOPs, 2.84 M parameters at the reference, shufflenetv2-1.0x at 224x224" in out
    assert "nearest  ShuffleNetV2 1.0x + SK: params +0.00 %, macs +0.00 %, matched complexity" in out
    assert out.count("\nTable ") == 1
    row = json.loads(command("place", "k3", "--reference", "shufflenetv2-0.5x", "--json")[1])
    assert [at["table"] for at in row["placements"]] == [4]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["cost", "k3", "--reference", "sknet29"], "reference sknet29: of cardinality 16"),
        (["cost", "k3", "--reference", ""], "unknown reference ''"),
        (["cost", "k3", "--reference", "resnet18@0"], "HEIGHTxWIDTH"),
        (["cost", "k3", "--reference", "resnet81"], "did you mean resnet18"),
        (
            ["cost", "--system", "sknet50", "--reference", "resnet18"],
            "sknet50 has its own, sknet50; leave it out",
        ),
        (["cost", "k3g=2", "--reference", "mobilenetv2"], "its convolutions are depthwise"),
        (["cost", "k3+k3+k3", "--reference", "skresnet18"], "3 branches cannot share the 64 channels"),
        (
            ["cost", "k3", "--reference", "resnet18", "--backbone", "8x4d"],
            "does not stand for the reference resnet18",
        ),
        (["place", "k3;k3;k3;k3", "--reference", "shufflenetv2-1.0x"], "4 blocks for 3 stages"),
        (["space", "show", "sk-paper", "--reference", "skresnet18"], "cannot share the 64 channels"),
        (
            ["space", "show", "sk-light", "--budget-mflops", "100"],
            "the cheapest block of sk-light, k1, needs",
        ),
        (["search", "--budget-mflops", "150", "--budget-gflops", "0.15"], "one budget in two units"),
        (
            ["search", "--budget-gflops", "2", "--reference", "resnet18", "--profile", "paper"],
            "stands for networks with groups alone",
        ),
        (["ablate", "table7", "--reference", "sknet29", "--plan"], "reference sknet29"),
    ],
)
def test_what_cannot_be_is_said_and_exits_2(command, arguments, said):
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert said in err


def test_an_ablation_for_another_reference(command):
    plan = plan_ablation(AblationRequest(source="table4", profile="smoke"))
    assert len(plan.spec.ablation.variants) == 9
    printed = {each.name: each.printed.system for each in plan.spec.ablation.variants if each.printed}
    assert printed["1.0x + SK"] == "ShuffleNetV2 1.0x + SK"
    assert printed["0.5x + SE"] == "ShuffleNetV2 0.5x + SE"
    assert len({plan.spec.trained_for(each).id for each in plan.spec.ablation.variants}) == 9
    code, out, _ = command("ablate", "sk-parts", "--reference", "skresnet18", "--profile", "smoke", "--plan")
    assert code == 0
    assert "in 1x12d-1111-c32-basic-split" in out


def test_figure_2_is_drawn_into_a_folder(command):
    code, _, err = command("reproduce", "--table", "S9", "--out", "figures", "--no-picture")
    assert code == 0
    assert "wrote figures/rows.csv" in err
    page = Path("figures/figure2.html").read_text()
    for name in ("SKNet-50", "ResNeXt-101", "Top-1 error on ImageNet as printed"):
        assert name in page
    assert "http://cdn" not in page
    with Path("figures/rows.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["system"]: row["paper_error_pct"] for row in rows}["SKNet-50"] == "20.79"
    assert command("reproduce", "--table", "3", "--out", "others", "--no-picture")[0] == 0
    assert not Path("others/figure2.html").exists()
