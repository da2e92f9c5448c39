"""Pictures of blocks: well-formed, within their frame, and saying what the block is."""

import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from support.pictures import check, texts
from support.strategies import any_blocks

from skexplore.arch.drawing import block_svg, standalone
from skexplore.arch.notation import parse_blocks
from skexplore.errors import UserError

NAMESPACE = "{http://www.w3.org/2000/svg}"


@settings(max_examples=60)
@given(any_blocks)
def test_block_drawings_are_well_formed_and_within_their_frame(blocks):
    drawing = block_svg(blocks)
    check(drawing)
    said = texts(drawing)
    for block in blocks:
        for branch in block.branches:
            assert f"{branch.kernel} × {branch.kernel}" in said
            assert f"sees {branch.receptive_field} × {branch.receptive_field}" in said
    assert ("softmax over branches" in said) == any(block.selects for block in blocks)


def test_what_the_paper_block_says():
    drawing = block_svg(parse_blocks("k3+k5g64/r8/L16"))
    said = texts(drawing)
    for line in ("dilation 1", "64 groups", "32 groups", "fc: d = 16, 32, 64, 128", "r = 8, L = 16"):
        assert line in said
    assert "all stages: 128, 256, 512, 1024 channels" in said
    assert ET.fromstring(drawing).find("title").text == "Block k3+k5g64/r8/L16"


def test_one_group_is_said_in_the_singular():
    said = texts(block_svg(parse_blocks("k3g1+k3g2")))
    assert {"1 group", "2 groups"} <= set(said)


def test_size():
    assert len(block_svg(parse_blocks("k3+k5g64+k3d3/r8/L16")).encode()) < 2500


def headings(text):
    return [line for line in texts(block_svg(parse_blocks(text))) if line and "channels" in line]


def test_stages_with_one_block_share_a_drawing():
    assert headings("k3;k3;k3+k5;k3+k5/sum") == [
        "stages 1-2: 128, 256 channels",
        "stage 3: 512 channels",
        "stage 4: 1024 channels",
    ]
    assert headings("k3;k5;k3;k5") == ["stages 1, 3: 128, 512 channels", "stages 2, 4: 256, 1024 channels"]
    assert len(headings("k3;k3/r8;k3/L1;k3")) == 1  # r and L cannot act there


def test_wrong_number_of_stages():
    with pytest.raises(UserError, match="2 blocks for 4 stages"):
        block_svg(parse_blocks("k3;k3"))


def test_standalone_file_has_colours_for_light_and_dark():
    text = standalone(block_svg(parse_blocks("k3+k3d2")))
    root = ET.fromstring(text)
    assert root.tag == f"{NAMESPACE}svg"
    assert root[0].tag == f"{NAMESPACE}title"
    style = root.find(f"{NAMESPACE}style").text
    assert "prefers-color-scheme:dark" in style
    for colour in ("#0072B2", "#D55E00"):
        assert colour in style
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")  # nothing is fetched
