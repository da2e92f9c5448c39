"""``skexplore signal`` as a user types it: the shipped panel, another one, and what it is compared with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.instant import InstantPool

from skexplore.arch.notation import parse_blocks
from skexplore.engine import coordinator
from skexplore.plan.ablation import AblationRequest, plan_ablation
from skexplore.space.space import Space

SIX = "name: six\nprofile: tiny\nseeds: 2\nbaseline: k3\nrows:\n" + "".join(
    f"  - {{block: {block}}}\n" for block in ("k3", "k1+k3", "k3+k3d2", "k3+k3d3", "k7g128", "k3+k5g64/sum")
)


@pytest.fixture
def instant(monkeypatch, tiny, synthetic_data):
    monkeypatch.setattr(coordinator, "Pool", InstantPool)
    monkeypatch.setattr("skexplore.engine.run.prepare_data", lambda *_, **__: synthetic_data)
    Path("six.yaml").write_text(SIX)


def test_the_shipped_panel_spans_the_space_of_the_paper():
    design = plan_ablation(AblationRequest(source="panel")).spec.ablation
    blocks = [parse_blocks(variant.block)[0] for variant in design.variants]
    branches = [branch for block in blocks for branch in block.branches]
    assert len(blocks) == 12
    space = Space.load("sk-paper")
    assert {(b.kernel, b.dilation) for b in branches} == {(b.kernel, b.dilation) for b in space.kernels[0]}
    assert {branch.groups for branch in branches} == set(space.decisions["branches.1.groups"])
    assert {block.fuse for block in blocks} == {"select", "sum"}
    assert {len(block.branches) for block in blocks} == {1, 2, 3}
    long = plan_ablation(AblationRequest(source="panel-long")).spec.ablation
    assert [each.block for each in long.variants] == [each.block for each in design.variants]


def test_a_panel_is_trained_and_judged_in_words_and_as_json(command, instant):
    ask = ("signal", "six.yaml", "--workers", "1")
    code, out, err = command(*ask)
    assert code == 0, err
    for words in (
        "6 blocks x 2 seeds",
        "seed noise",
        "6 degrees of freedom",
        "reliability",
        "--against STUDY",
    ):
        assert words in out
    assert "validity  " not in out
    Path("long.yaml").write_text(SIX.replace("name: six", "name: long\nrecipe: {epochs: 4}"))
    assert command("ablate", "long.yaml", "--seeds", "1", "--workers", "1")[0] == 0
    code, out, _ = command(*ask, "--against", "long")
    assert code == 0
    assert "; 6 blocks\n" in out
    assert "4 blocks, those with the lowest long errors" in out
    assert "two long ones" not in out  # there is one
    assert "skexplore report six long" in out
    assert command("report", "six", "long", "--no-picture")[0] == 0
    assert "those with the lowest long errors" in Path("reports/six/report.md").read_text()
    found = json.loads(command(*ask, "--against", "long", "--json")[1])
    assert (found["study"], found["against"], found["reliability"]["df"]) == ("six", "long", 6)
    assert -1 <= found["whole"]["correlation"]["value"] <= 1
    assert found["validity_per_minute"] is not None


def test_an_archive_is_read_by_its_folder(command):
    """The committed panels, at their place: nothing is trained or written."""
    own, other = (
        str(Path(__file__).parents[2] / "studies" / "signal" / name) for name in ("panel-quick", "panel")
    )
    code, out, _ = command("signal", own, "--against", other)
    assert code == 0
    assert "12 blocks x 3 seeds, 20,000 images each in 4x4d-1111-c32" in out
    assert "tau" in out
    assert f"skexplore report {own} {other}" in out
    assert json.loads(command("signal", own, "--json")[1])["study"] == "panel-quick"
    code, _, err = command("signal", own, "--seeds", "9", "--profile", "smoke")
    assert code == 2
    assert f"--seeds and --profile: study {own} is read, not trained; leave that out" in err
    assert not Path("studies").exists()


def test_what_it_cannot_be_compared_with_is_refused_before_training(command, instant):
    code, out, err = command("signal", "six.yaml", "--against", "nothing-there")
    assert (code, out) == (2, "")
    assert "no study at studies/nothing-there" in err
    code, out, err = command("signal", "six.yaml", "--seeds", "1")
    assert (code, out) == (2, "")
    assert "6 blocks under 1 seed; at least 4 blocks and 2 seeds" in err
    archived = str(Path(__file__).parents[2] / "studies" / "table3")
    assert "it has 2 of the 6 blocks" in command("signal", "six.yaml", "--against", archived)[2]
    assert not Path("studies").exists()
    code, _, err = command("signal", "panell")
    assert code == 2
    assert "did you mean panel" in err
