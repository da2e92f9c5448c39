"""Pictures of blocks: well-formed, within their frame, and saying what the block is."""

import re
import xml.etree.ElementTree as ET

import pytest
from hypothesis import given, settings
from support.strategies import any_blocks

from skexplore.arch.costs import cost
from skexplore.arch.drawing import CHAR, block_svg, standalone
from skexplore.arch.notation import parse_blocks
from skexplore.errors import UserError
from skexplore.paper.drawing import place_svg
from skexplore.paper.tables import published_rows

NAMESPACE = "{http://www.w3.org/2000/svg}"


def texts(drawing):
    return [node.text for node in ET.fromstring(drawing).iter("text")]


def check(drawing):
    """Parse a bare drawing; every text must lie within the frame, and no id may clash with another drawing's."""
    root = ET.fromstring(drawing)
    assert root.get("role") == "img"
    _, _, width, height = map(int, root.get("viewBox").split())
    assert root.find("title").text
    for node in root.iter():
        assert node.get("id") is None
        assert all(name.startswith("sk-") for name in node.get("class", "").split())
        assert node.get("fill") in (None, "none", "currentColor")
        assert node.get("stroke") in (None, "none", "currentColor")
    offsets = {child: parent for parent in root.iter() for child in parent}
    for node in root.iter("text"):
        x, y, up, anchor = float(node.get("x")), float(node.get("y")), node, node.get("anchor")
        while up is not root:
            anchor = anchor or up.get("text-anchor")
            if move := up.get("transform"):
                dx, dy = map(float, re.findall(r"\d+", move))
                x, y = x + dx, y + dy
            up = offsets[up]
        half = len(node.text) * CHAR / 2
        left = x - half if anchor == "middle" else x - 2 * half if anchor == "end" else x
        assert left >= 0, node.text
        assert left + 2 * half <= width + CHAR, node.text
        assert 8 <= y <= height, node.text


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


@settings(max_examples=25)
@given(any_blocks)
def test_place_drawings_are_well_formed_and_name_every_row(blocks):
    drawing = place_svg(blocks)
    check(drawing)
    said = " ".join(texts(drawing))
    for row in published_rows():
        assert row.system in said
    own = cost(blocks)
    assert f"this block: {own.macs / 1e9:.3f} GFLOPs, {own.params / 1e6:.2f} M" in said


@settings(max_examples=25)
@given(any_blocks)
def test_circles_do_not_touch(blocks):
    circles = [
        (float(node.get("cx")), float(node.get("cy")))
        for node in ET.fromstring(place_svg(blocks)).iter("circle")
    ]
    assert circles
    for number, (x, y) in enumerate(circles):
        for a, b in circles[:number]:
            assert (x - a) ** 2 + (y - b) ** 2 >= 18**2


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
