"""Spaces written for another reference than SKNet-50: counted, costed and encoded there."""

from __future__ import annotations

import random

import pytest

from skexplore.arch.backbones import REFERENCE
from skexplore.arch.costs import arch_id, cost
from skexplore.arch.limits import Sizes, band_bounds, budget_bounds
from skexplore.errors import UserError
from skexplore.space.boxes import Layout, enumerate_costs
from skexplore.space.candidates import Candidates
from skexplore.space.encoder import encode
from skexplore.space.size import check_budget, summarise
from skexplore.space.space import Space

TIED = """
name: tied
base: k3
decisions:
  branches.1: [k3, k5, k3d2]
  branches.2: {second}
  branches.3: {third}
  reduction: [2, 8, 16]
  min_dim: [1, 16, 32]
  fuse: [select, sum]
"""
FREED = """
name: freed
base: k3+k3d2/r8
decisions:
  branches.1: [k3, k5relu]
  stages.1.branches.2: [none, k3d2]
  stages.3.branches.2: [k1, k3linear]
  min_dim: [1, 16]
"""


def write(tmp_path, text, **levels):
    path = tmp_path / "given.yaml"
    path.write_text(text.format(**levels))
    return path


def sizes_of(blocks, space):
    own = cost(blocks, space.reference)
    return Sizes(own.macs, own.params, own.activations)


def check(space):
    """Compare what the space says of itself with all its points, decoded one by one."""
    blocks = {space.decode(point) for point in space.points()}
    sizes = sorted(sizes_of(each, space) for each in blocks)
    assert sorted(enumerate_costs(Layout(space).boxes())) == sizes
    summary = summarise(space)
    assert (summary.size, summary.exact, summary.feasible) == (len(blocks), True, len(blocks))
    assert (summary.macs_min, summary.macs_max) == (sizes[0][0], sizes[-1][0])
    for name in ("macs", "params", "activations"):
        values = [getattr(own, name) for own in sizes]
        assert getattr(summary, f"{name}_min") == min(values)
        assert getattr(summary, f"{name}_max") == max(values)
    budget = sizes[len(sizes) // 3].macs / 1e9
    within = summarise(space, budget_bounds(budget, None))
    assert within.feasible == sum(own.macs <= budget * 1e9 for own in sizes)
    half = sorted(own.activations for own in sizes)[len(sizes) // 2]
    least = (sizes[0].activations / 1e6, None)
    bounds = budget_bounds(budget, None, half / 1e6) + band_bounds((None, None), (None, None), least)
    kept = [own for own in sizes if all(bound.keeps(own) for bound in bounds)]
    assert summarise(space, bounds).feasible == len(kept)
    assert all(own.activations <= half and own.macs <= budget * 1e9 for own in kept)
    assert len({arch_id(each, space.reference) for each in blocks}) == len(blocks)
    generator = random.Random(0)
    for each in generator.sample(sorted(blocks, key=str), 10):
        assert space.decode(encode(space, each)) == each
    candidates = Candidates(space, budget_bounds(budget, None))
    assert len(candidates.within) == within.feasible
    for forms in generator.sample(candidates.within, 5):
        own = candidates.network(forms)
        assert own.backbone == space.reference
        assert candidates.forms_of(own) == forms
        assert candidates.sizes(forms) == sizes_of(own.blocks, space)
        assert len(candidates.shape(forms).stages) == len(space.stages)


@pytest.mark.parametrize(
    "reference", ["sknet26", "resnet18", "resnet50@160", "shufflenetv2-0.5x", "mobilenetv1", "mobilenetv2"]
)
def test_a_space_is_exact_at_every_reference(reference, tmp_path):
    space = Space.load(write(tmp_path, TIED, second="[none, k1, k3d3]", third="[none, k3relu]"), reference)
    assert space.reference.name == reference
    check(space)


@pytest.mark.parametrize("second", ["[k1, k3d3]", "[none, k1, k3d3]"])
def test_branches_that_share_the_channels_are_counted_by_their_number(second, tmp_path):
    check(Space.load(write(tmp_path, TIED, second=second, third="[none]"), "skresnet18"))
    with pytest.raises(UserError, match="3 branches cannot share the 64 channels in skresnet18"):
        Space.load(write(tmp_path, TIED, second=second, third="[none, k5]"), "skresnet18")


@pytest.mark.parametrize("reference", ["skresnet34", "shufflenetv2-1.0x"])
def test_stages_for_themselves(reference, tmp_path):
    check(Space.load(write(tmp_path, FREED), reference))


@pytest.mark.parametrize(
    "text",
    [
        "name: x\nbase: k5/r4/L256\ndecisions:\n  branches.2: [none, k1]\n  stages.4.reduction: [4, 8]\n",
        "name: x\nbase: k3\ndecisions:\n  branches.1: [k3, k5]\n  branches.2: [none, k1, k7]\n"
        "  stages.1.branches.1: [k1, k5]\n  fuse: [select, sum]\n  reduction: [2, 8]\n"
        "conditions:\n  - when: {{branches.1: k5, fuse: sum}}\n    then: {{branches.2: k7}}\n",
    ],
)
def test_branches_that_are_tied_where_stages_are_free(text, tmp_path):
    space = Space.load(write(tmp_path, text), "skresnet18")
    sizes = [sizes_of(each, space) for each in {space.decode(point) for point in space.points()}]
    summary = summarise(space)
    for name in ("macs", "params", "activations"):
        values = [getattr(own, name) for own in sizes]
        assert getattr(summary, f"{name}_min") == min(values)
        assert getattr(summary, f"{name}_max") == max(values)
    least = min(own.params for own in sizes)
    with pytest.raises(UserError, match="cheapest block"):
        check_budget(space, None, (least - 1) / 1e6)
    assert check_budget(space, None, least / 1e6)


def test_groups_without_a_cardinality(tmp_path):
    text = "name: x\nbase: k3+k3d2\ndecisions:\n  branches.1.groups: [32, 64]\n  min_dim: [8, 32]\n"
    space = Space.load(write(tmp_path, text), "resnet50")
    assert {str(space.decode(point)[0]) for point in space.points()} == {
        "k3+k3d2",
        "k3+k3d2/L8",
        "k3g=2+k3d2",
        "k3g=2+k3d2/L8",
    }
    check_light = Space.load(write(tmp_path, text), "shufflenetv2-1.0x")
    assert summarise(check_light).size == 2  # groups do not act


def test_a_file_names_its_reference(tmp_path):
    text = TIED.format(second="[none, k1]", third="[none]")
    path = write(tmp_path, f"reference: shufflenetv2-1.0x\n{text}")
    space = Space.load(path)
    assert space.reference.name == "shufflenetv2-1.0x"
    other = Space.load(path, "sknet50")
    assert (other.reference, other.hash) == (REFERENCE, Space.load(write(tmp_path, text)).hash)
    assert space.hash != other.hash
    for wrong in ("sknet29", "nothing"):
        with pytest.raises(UserError, match="reference"):
            Space.load(write(tmp_path, f"reference: {wrong}\n{text}"))
    with pytest.raises(UserError, match=r"stage 4: the reference has 3 stages"):
        Space.load(
            write(
                tmp_path,
                "name: x\nreference: shufflenetv2-1.0x\nbase: k3\ndecisions:\n  stages.4.branches.1: [k3, k5]\n",
            )
        )
