"""Shares of taps inside the map: torch's convolution counts them, and the figures of the design."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from skexplore.arch.backbones import get_backbone
from skexplore.arch.notation import parse_branch
from skexplore.arch.taps import tap_shares, unseen_taps
from skexplore.space.space import Space
from skexplore.study.recipe import PROFILES

# share in stage 4 of k3, k3d2, k3d3, k7, as counted by hand
STAGE_4 = {
    "sknet50": (0.85, 0.71, 0.59, 0.64),
    "8x4d-1111-s2": (0.69, 0.44, 0.25, 0.33),
    "16x4d-1111": (0.84, 0.69, 0.56, 0.62),
}


@pytest.mark.parametrize("name", STAGE_4)
def test_the_shares_of_the_last_stage(name):
    found = [tap_shares(parse_branch(each), get_backbone(name))[3] for each in ("k3", "k3d2", "k3d3", "k7")]
    assert tuple(round(at.share, 2) for at in found) == STAGE_4[name]


@pytest.mark.parametrize("name", ["sknet50", "sknet29", "8x4d-1111-s2", "8x4d-2121"])
@pytest.mark.parametrize("text", ["k1", "k3", "k3d2", "k5", "k3d3", "k7"])
def test_torch_counts_the_same(name, text):
    branch, body = parse_branch(text), get_backbone(name)
    side = {"sknet50": 56, "sknet29": 32, "8x4d-1111-s2": 16, "8x4d-2121": 32}[name]
    for stage, own in zip(body.stages, tap_shares(branch, body), strict=True):
        shares, unseen = [], 0
        for unit in range(stage.depth):
            inside = _by_torch(branch, side, stage.stride if unit == 0 else 1)
            side = -(-side // stage.stride) if unit == 0 else side
            shares.append(float(inside.mean()))
            unseen = max(unseen, int((inside.sum((0, 1)) == 0).sum()))
        assert own.share == pytest.approx(sum(shares) / len(shares), abs=1e-6)
        assert (own.unseen, own.taps) == (unseen, branch.kernel**2)


def _by_torch(branch, side, stride):
    """Return (rows, columns, taps) of 1 where a tap meets a pixel: ``unfold`` of a map of ones."""
    seen = F.unfold(
        torch.ones(1, 1, side, side),
        branch.kernel,
        dilation=branch.dilation,
        padding=branch.dilation * (branch.kernel // 2),
        stride=stride,
    )
    out = -(-side // stride)
    return seen[0].T.reshape(out, out, -1)


def test_taps_that_never_meet_a_pixel_are_found_in_a_space():
    kernels = Space.load("sk-paper").kernels
    assert [sorted(map(str, stage)) for stage in kernels] == [["k1", "k3", "k3d2", "k3d3", "k5", "k7"]] * 4
    found = {
        (str(at.branch), at.stage): (at.unseen, at.taps)
        for at in unseen_taps(kernels, get_backbone("8x4d-1111-s2"))
    }
    assert found == {("k3d3", 4): (5, 9), ("k7", 4): (13, 49)}
    assert unseen_taps(kernels, get_backbone("16x4d-1111")) == ()
    assert unseen_taps(kernels, get_backbone("sknet50")) == ()
    first = ((parse_branch("k7"),), *[(parse_branch("k3"),)] * 3)  # k7 stands where the map is large
    assert unseen_taps(first, get_backbone("8x4d-1111-s2")) == ()
    last = (*[(parse_branch("k3"),)] * 3, (parse_branch("k7g128"),))
    assert [(str(at.branch), at.stage) for at in unseen_taps(last, get_backbone("8x4d-1111-s2"))] == [
        ("k7", 4)
    ]


def test_the_default_proxy_sees_its_kernels():
    """Of every kernel of sk-paper, in every stage: a share of taps inside the map within 6 % of the reference's."""
    quick = get_backbone(PROFILES["quick"].backbone)
    kernels = {branch for stage in Space.load("sk-paper").kernels for branch in stage}
    assert len(kernels) == 6
    gaps = [
        (abs(own.share / there.share - 1), branch, own)
        for branch in kernels
        for own, there in zip(tap_shares(branch, quick), tap_shares(branch), strict=True)
    ]
    assert max(gap for gap, *_ in gaps) <= 0.06
    blind = [own for branch in kernels for own in tap_shares(branch, get_backbone("8x4d-1111-s2"))]
    assert min(each.share for each in blind) < 0.3  # what the earlier one saw
