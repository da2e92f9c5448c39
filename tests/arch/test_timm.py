"""timm.json against timm itself: built from the file, with our weights, it computes what we do."""

import json

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from support.exported import PROXY, exported
from support.strategies import blocks as some_block
from timm.layers import SelectiveKernel

from skexplore.arch.backbones import REFERENCE, get_backbone
from skexplore.arch.notation import parse_block, parse_blocks
from skexplore.arch.timm import timm_arguments, why_not
from skexplore.export.block_json import load_block
from skexplore.nn.layers import SKConv


def with_our_weights(own, other):
    """Copy weights from an SK convolution to timm's, by the names that the note in the file gives."""
    for branch, path in zip(own.branches, other.paths, strict=True):
        path.conv.load_state_dict(branch[0].state_dict())
        path.bn.load_state_dict(branch[1].state_dict())
    attention = other.attn
    attention.fc_reduce.weight.data = own.fc[0].weight.data[:, :, None, None]
    attention.bn.load_state_dict(own.fc[1].state_dict())
    attention.fc_select.weight.data = own.attend.weight.data[:, :, None, None]


def compare(block, stage, row):
    """Build both in float64, at both strides, and compare in training and in evaluation."""
    generator = torch.Generator().manual_seed(0)
    for stride in {1, row["first_unit_stride"]}:
        own = SKConv(stage.width, block, stride=stride).double()
        other = SelectiveKernel(**row["arguments"], stride=stride).double()
        with torch.no_grad():
            for parameter in own.parameters():
                parameter.copy_(
                    torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                    / max(parameter[0].numel(), 1) ** 0.5
                )
            with_our_weights(own, other)
            x = torch.randn(2, stage.width, 6, 6, generator=generator, dtype=torch.float64)
            for train in (True, False):
                difference = (own.train(train)(x) - other.train(train)(x)).abs().max()
                assert difference < 1e-10


@pytest.mark.parametrize("text", ["k3+k3d2", "k3d2+k3d3+k3/r8", "k3+k5", "k3d2+k5d2/L16", "k3+k3/r32/L1"])
def test_timm_built_from_the_file_is_our_block_at_every_stage(tmp_path, text):
    out = exported(tmp_path, text, weights=False)
    content = json.loads((out / "timm.json").read_text())
    assert content["expressible"]
    assert content["reasons"] == []
    for scale, body in (("reference", REFERENCE), ("proxy", get_backbone(PROXY))):
        stages = zip(body.stages, body.place(load_block(out)), content["scales"][scale], strict=True)
        for stage, block, row in stages:
            assert row["first_unit_stride"] == stage.stride
            if scale == "proxy" or row["stage"] < 3:  # the wide ones are the same arguments, and slow
                compare(block, stage, row)
            else:
                assert row["arguments"]["rd_channels"] == block.dim(stage.width)
                assert SelectiveKernel(**row["arguments"]).attn.fc_reduce.out_channels == block.dim(
                    stage.width
                )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("k3+k5g64", "groups 32, 64: timm has one number of groups"),
        ("k3+k5d2", "3x3 of dilation 1 and 5x5 of dilation 2: timm has one dilation"),
        ("k3+k3d2/sum", "sum: timm always selects"),
        ("k3", "one branch"),
        ("k1+k3", "kernel 1: timm's kernels are odd and at least 3"),
        ("k1+k3d2", "kernel 1"),
    ],
)
def test_what_timm_cannot_be(tmp_path, text, reason):
    out = exported(tmp_path, text, weights=False)
    content = json.loads((out / "timm.json").read_text())
    assert not content["expressible"]
    assert any(each.startswith(reason) for each in content["reasons"]), content["reasons"]
    assert all("arguments" not in row for row in content["scales"]["reference"])
    assert reason in (out / "README.md").read_text()


def test_stages_that_timm_can_be_have_their_arguments(tmp_path):
    out = exported(tmp_path, "k3+k3d2;k3;k3+k5g64/sum;k3+k3d2+k3d3/r8", weights=False)
    content = json.loads((out / "timm.json").read_text())
    assert not content["expressible"]
    assert len(content["reasons"]) == 3
    assert ["arguments" in row for row in content["scales"]["proxy"]] == [True, False, False, True]
    assert len(content["scales"]["proxy"][2]["reasons"]) == 2


def test_three_stages_of_sknet29():
    content = timm_arguments(parse_blocks("k3+k5"), get_backbone("sknet29"))
    assert [row["arguments"]["in_channels"] for row in content["scales"]["proxy"]] == [512, 1024, 2048]


@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(some_block)
def test_random_blocks_are_equal_or_have_a_reason(block):
    content = timm_arguments((block,), get_backbone(PROXY))
    assert content["expressible"] == (not why_not(block))
    body = get_backbone(PROXY)
    row = content["scales"]["proxy"][0]
    if content["expressible"]:
        compare(body.place((block,))[0], body.stages[0], row)
    else:
        assert all(row["reasons"])


def test_timm_refuses_the_kernel_that_we_say_it_refuses():
    assert why_not(parse_block("k1+k3"))
    with pytest.raises(AssertionError):
        SelectiveKernel(32, kernel_size=[1, 3], keep_3x3=False, split_input=False)
