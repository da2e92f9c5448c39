"""``skexplore space`` as a user types it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from skexplore.arch.backbones import get_backbone
from skexplore.space.space import Space, shipped_spaces
from skexplore.study.recipe import PROFILES

SHIPPED = tuple(
    sorted(path.stem for path in Path(__file__).parents[2].joinpath("search_spaces").glob("*.yaml"))
)
BANDED = """\
name: banded
description: for a test
base: k3
decisions:
  branches.1: [k3, k5]
  branches.2: [none, k3d2, k5]
  reduction: [8, 16]
conditions:
  - when: {branches.1: k5}
    then: {reduction: 8, branches.2: none}
constraints: {gflops: [4.3, null], params_m: [null, 40]}
"""


@pytest.fixture
def banded() -> str:
    Path("banded.yaml").write_text(BANDED)
    return "banded.yaml"


def test_the_spaces_of_the_folder_are_shipped_and_listed(command):
    assert {"sk-cifar", "sk-paper", "sk-wide"} <= set(SHIPPED)
    rows = json.loads(command("space", "list", "--json")[1])
    assert [row["name"] for row in rows] == list(SHIPPED) == list(shipped_spaces())
    assert all(row["description"] and row["raw_size"] > 1000 for row in rows)
    code, out, _ = command("space", "list")
    assert code == 0
    listed, _ = out.split("\n\nNext:")
    assert [line.split()[0] for line in listed.splitlines()] == list(SHIPPED)
    assert all(f"{row['raw_size']:,} combinations" in out for row in rows)


@pytest.mark.parametrize("name", SHIPPED)
@pytest.mark.parametrize("backbone", ["sknet50", "8x4d-1111-s2", "16x4d-1111", "32x4d-1111"])
def test_every_shipped_space_builds_on_the_proxies(name, backbone):
    Space.load(name).check_buildable(get_backbone(backbone))


def test_the_wide_space_has_up_to_four_branches_and_free_stages():
    space = Space.load("sk-wide")
    most = space.decode({path: levels[-1] for path, levels in space.decisions.items()})
    assert {len(block.branches) for block in most} == {4}
    freed = {path: levels[0] for path, levels in space.decisions.items()}
    assert len(space.decode(freed | {"stages.4.branches.4": "k7g128"})) == 4


def test_the_cifar_space_holds_the_papers_cifar_block():
    space = Space.load("sk-cifar")
    paper = {path: levels[0] for path, levels in space.decisions.items()} | {
        "branches.1": "k3", "branches.1.groups": 32, "branches.2": "k1", "branches.2.groups": 32,
        "reduction": 32, "min_dim": 32,
    }  # fmt: skip
    assert paper.keys() == space.decisions.keys()
    assert str(space.decode(paper)[0]) == "k1+k3/r32"


@pytest.mark.parametrize(
    ("name", "size", "sampled"),
    [("sk-paper", 14_439, 0), ("sk-cifar", 8_584, 0), ("sk-wide", 41_050_799, 20_000)],
)
def test_shipped_spaces_are_counted_exactly(command, name, size, sampled):
    code, out, _ = command("space", "show", name, "--budget-gflops", "4.5", "--json")
    assert code == 0
    row = json.loads(out)
    assert (row["exact"], row["size"], row["sampled"]) == (True, size, sampled)
    assert row["size_low"] == row["size_estimate"] == row["size_high"] == size
    assert row["feasible_share_low"] <= row["feasible_share"] <= row["feasible_share_high"]
    assert (row["feasible_share_low"] == row["feasible_share_high"]) == (sampled == 0)
    assert f"{size:,} distinct architectures" in command("space", "show", name)[1]


def test_json_has_the_keys_of_the_contract(command, banded):
    row = json.loads(command("space", "show", banded, "--budget-gflops", "5", "--json")[1])
    assert list(row) == [
        "space", "size", "exact", "feasible", "feasible_share", "macs_min", "macs_median", "macs_max",
        "params_min", "params_median", "params_max", "cheapest", "size_estimate", "size_low", "size_high",
        "feasible_share_low", "feasible_share_high", "sampled", "combinations", "ruled_out",
        "activations_min", "activations_median", "activations_max",
    ]  # fmt: skip


def test_show_prints_conditions_constraints_and_what_is_ruled_out(command, banded):
    code, out, err = command("space", "show", banded, "--budget-gflops", "4.6", "--budget-params", "30")
    assert code == 0
    assert err == ""
    for line in (
        "banded: for a test",
        "  reduction            8, 16",
        "  when branches.1 is k5: reduction = 8, branches.2 = none",
        "  constraint: at least 4.3 GFLOPs",
        "  constraint: at most 40 M parameters",
        "6 distinct architectures",
        "feasible    2 (33.3 %) within the budget and the constraints",
        "ruled out   branches.1: k5; branches.2: none, k5",
        "cheapest    k3",
    ):
        assert line in out.splitlines(), line


def test_show_warns_of_taps_that_a_proxy_does_not_measure(command, monkeypatch):
    assert "does not measure" not in "".join(command("space", "show", "sk-paper")[1:])
    for name in ("smoke", "quick"):
        monkeypatch.setitem(PROFILES, name, replace(PROFILES[name], backbone="8x4d-1111-s2"))
    said = "8x4d-1111-s2 (profiles smoke and quick) does not measure 5 of the 9 taps of k3d3 in stage 4"
    assert said in command("space", "show", "sk-paper")[1]
    _, out, err = command("space", "show", "sk-paper", "--json")
    assert said in err
    assert json.loads(out)["space"] == "sk-paper"
    Path("small.yaml").write_text("name: small\nbase: k3\ndecisions: {branches.2: [none, k1, k3d2]}\n")
    assert "does not measure" not in "".join(command("space", "show", "small.yaml")[1:])


def test_show_without_a_budget_counts_blocks_outside_the_bands_as_not_feasible(command, banded):
    out = command("space", "show", banded)[1]
    assert "feasible    5 (83.3 %) within the constraints" in out.splitlines()
    assert "ruled out" not in command("space", "show", "sk-paper")[1]
    assert "within" not in command("space", "show", "sk-paper")[1]


def test_without_limits_everything_is_feasible_and_nothing_about_it_is_drawn(command):
    out = command("space", "show", "sk-wide")[1]
    assert "feasible    41,050,799 (100.0 %)" in out.splitlines()
    assert "\nMedians are of 20,000 distinct" in out
    out = command("space", "show", "sk-wide", "--budget-gflops", "99")[1]
    assert "feasible    41,050,799 (100.0 %) within the budget" in out.splitlines()
    out = command("space", "show", "sk-wide", "--budget-gflops", "4.5")[1]
    assert "feasible    about 15," in out
    assert "\nFeasible share and medians are of 20,000" in out


def test_an_estimate_is_printed_with_its_interval(command, monkeypatch):
    monkeypatch.setattr("skexplore.space.union.MANY_STEPS", 1)
    out = command("space", "show", "sk-wide", "--budget-gflops", "4.5")[1]
    assert "at most 41,287,680 distinct architectures; about 41," in out
    assert "(95 %: 4" in out
    assert "20,000 distinct architectures drawn uniformly" in out
    assert "feasible    about 41," in command("space", "show", "sk-wide")[1]


def test_a_space_beyond_counting_says_so(command, monkeypatch):
    monkeypatch.setattr("skexplore.space.boxes.MANY", 10)
    monkeypatch.setattr("skexplore.space.size.SAMPLES", 200)
    out = command("space", "show", "sk-paper", "--budget-gflops", "4.5")[1]
    assert " to 190,512 distinct architectures: too many to count" in out
    assert "of the combinations within the budget" in out
    assert "200 combinations drawn uniformly" in out


def test_new_writes_a_space_with_all_that_a_file_may_say(command):
    code, out, _ = command("space", "new", "mine.yaml")
    assert code == 0
    assert "skexplore space show mine.yaml" in out
    text = Path("mine.yaml").read_text()
    assert Space.load("mine.yaml").conditions == ()
    told = [
        line.removeprefix("# ") if line.startswith(("# cond", "# cons", "#   ")) else line
        for line in text.splitlines()
    ]
    Path("mine.yaml").write_text("\n".join(told).replace("  # stages.4", "  stages.4") + "\n")
    full = Space.load("mine.yaml")
    assert len(full.conditions) == 1
    assert len(full.bounds) == 4
    assert "stages.4.branches.2" in full.decisions
    assert command("space", "show", "mine.yaml", "--budget-gflops", "4.5")[0] == 0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name: s\nbase: k3\ndecisions: {fuse: [sum]}\nconditions: [{when: {fuse: mean}, then: {fuse: sum}}]\n",
        "name: s\nbase: k3\ndecisions: {reduction: !!int 3}\n",
        "name: s\nbase: k3\ndecisions: {reduction: [4, 4]}\nconstraints: {gflops: 3}\n",
        "[" * 5000,
        "{" * 5000,
        "- " * 5000,
        "? " * 5000,
        "a: " + "x" * 200_000,
        "name: 2020-01-01\nbase: k3\ndecisions: {fuse: [2020-01-01]}\n",
        "name: s\nbase: k3\ndecisions: {[a, b]: [k3], {c: d}: 3}\n",
        "name: s\nbase: k3\ndecisions: {null: [k3]}\n",
        "name: s\nbase: k3\ndecisions: {reduction: [" + "9" * 5000 + "]}\n",
        "name: s\nbase: k3\ndecisions: {reduction: [0x" + "9" * 5000 + "]}\n",
        "name: s\nbase: k3\ndecisions: {reduction: [" + "9" * 4000 + "]}\n",
        "name: s\nbase: k3\nname: t\n",
        "<<: {name: s}\n<<: {base: k3}\n",
        "%YAML 9.9\n---\nname: s\n",
        "name: s\0\n",
    ],
)
def test_a_bad_file_exits_2_with_a_message_and_writes_nothing(command, tmp_path, text):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    for arguments in (
        ["space", "show", str(path)],
        ["search", "--budget-gflops", "4.5", "--space", str(path)],
    ):
        code, out, err = command(*arguments)
        assert code == 2
        assert out == ""
        assert "bad.yaml" in err
        assert "Traceback" not in err
        assert len(err) < 20_000
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("junk", [b"\x89PNG\r\n\x1a\n\x00\xff", b"\xff\xfen\x00a\x00", bytes(range(256))])
def test_binary_junk_exits_2(command, tmp_path, junk):
    path = tmp_path / "bad.yaml"
    path.write_bytes(junk)
    code, _, err = command("space", "show", str(path))
    assert code == 2
    assert "not a text file" in err


def test_a_budget_that_the_bands_exclude_exits_2(command, banded):
    code, _, err = command("space", "show", banded, "--budget-gflops", "4.25")
    assert code == 2
    assert "--budget-gflops 4.25: excludes the space's band, at least 4.3 GFLOPs" in err


def test_a_level_that_no_proxy_builds_exits_2(command):
    Path("s.yaml").write_text("name: s\nbase: k3\ndecisions: {branches.1.groups: [32, 6]}\n")
    code, _, err = command("space", "show", "s.yaml")
    assert code == 2
    assert "decisions.branches.1.groups: level 6" in err
