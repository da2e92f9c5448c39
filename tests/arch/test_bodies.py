"""Networks in a body of their own: their text, and the proxies that stand for them."""

from __future__ import annotations

import pytest

from skexplore.arch.backbones import REFERENCE, get_backbone
from skexplore.arch.bodies import body_of, deepened, format_network, read_network, says_body, varied_as
from skexplore.arch.costs import cost, net_id
from skexplore.arch.notation import parse_blocks
from skexplore.arch.proxies import stand_in
from skexplore.errors import UserError


@pytest.mark.parametrize("text", ["k3+k3d2", "k3 in sknet26", "k3;k3;k5;k5 in sknet50:2-2-2-2:x0.5"])
def test_text_names_a_body_that_is_not_the_reference(text):
    own = read_network(text, REFERENCE)
    assert format_network(own.blocks, own.backbone, REFERENCE) == text
    assert own.backbone == body_of(text, REFERENCE)
    assert says_body(text) == (own.backbone != REFERENCE)
    assert own.cost() == cost(text.partition(" in ")[0], own.backbone)


def test_blocks_in_a_body_have_the_one_spelling_there():
    # d is 32 in the first stage of SKNet-50, and a quarter as many channels leave L32 everywhere but in the last
    own = read_network("k3d2+k3 in sknet50:x0.5", REFERENCE)
    assert own.blocks == parse_blocks("k3+k3d2")
    assert read_network("k3 in sknet50", REFERENCE).backbone == REFERENCE


@pytest.mark.parametrize(
    ("body", "proxy"),
    [
        ("sknet50", "4x4d-1221-c32"),
        ("sknet26", "4x4d-1111-c32"),  # 2-2-2-2 of 3-4-6-3
        ("sknet101", "4x4d-1281-c32"),  # 3-4-23-3
        ("sknet50:x0.5", "4x2d-1221-c16"),
        ("sknet50:6-8-12-6:x1.5", "4x6d-2442-c48"),
        ("sknet50:x0.25", "4x1d-1221"),  # its stem of 8 channels is the usual one of such a proxy
    ],
)
def test_the_proxy_of_a_body_is_as_much_deeper_and_wider(body, proxy):
    own = get_backbone(body)
    assert varied_as("4x4d-1221-c32", own, REFERENCE) == proxy
    # channels of the proxy over those of the body are what they are in the reference
    small = get_backbone(proxy)
    for there, here in zip(own.stages, small.stages, strict=True):
        assert here.width * 8 == there.width
    assert small.stem.width * 2 == own.stem.width
    assert [8 * stage.out for stage in small.stages] == [stage.out for stage in own.stages]


@pytest.mark.parametrize(
    ("reference", "body", "proxy", "varied"),
    [
        ("shufflenetv2-1.0x", "shufflenetv2-1.0x:x0.5", "24x1d-122-c32-shuffle", "12x1d-122-c16-shuffle"),
        ("skresnet18", "skresnet34", "1x12d-1111-c32-basic-split", "1x12d-2232-c32-basic-split"),
        ("mobilenetv2", "mobilenetv2:x0.5", "24x1d-1111-c16-inverted", "12x1d-1111-c8-inverted"),
    ],
)
def test_proxies_of_other_kinds_of_units(reference, body, proxy, varied):
    whole, own = get_backbone(reference), get_backbone(body)
    assert varied_as(proxy, own, whole) == varied
    # L keeps its share of the channels: half as wide in both is the same factor
    assert stand_in(get_backbone(varied), own).floor_share == stand_in(get_backbone(proxy), whole).floor_share


def test_depths_show_in_a_deeper_proxy():
    assert deepened("4x4d-1111-c32", REFERENCE, 1) == "4x4d-1221-c32"
    assert deepened("4x4d-1111-c32", REFERENCE, 2) == "4x4d-2342-c32"
    assert (
        deepened("1x12d-1111-c32-basic-split", get_backbone("skresnet18"), 2) == "1x12d-2222-c32-basic-split"
    )
    assert deepened("24x1d-1111-c16-inverted", get_backbone("mobilenetv2"), 2) == "24x1d-2222-c16-inverted"
    assert (
        deepened("4x4d-1111-c32", get_backbone("resnet152"), 1) == "4x4d-1391-c32"
    )  # 3-8-36-3: a digit holds 9
    ids = {
        net_id("k3", varied_as("4x4d-1221-c32", get_backbone(f"sknet50:{d}"), REFERENCE))
        for d in ("3-4-6-3", "2-2-2-2", "3-4-12-3")
    }
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("proxy", "body", "said"),
    [
        ("sknet29", "sknet26", "backbone sknet29: has one depth and width, and the space decides them"),
        ("4x1d-1111", "sknet50:x0.5", "4x1d-1111 has 1, 8, 8; they must be whole"),
        ("4x4d-1441-c32", "sknet101", r"1-4-15-1 units"),
        ("8x60d-1111", "sknet50:x2", r"at most 99, 999, 9999"),
    ],
)
def test_a_proxy_that_cannot_be_so(proxy, body, said):
    with pytest.raises(UserError, match=said):
        varied_as(proxy, get_backbone(body), REFERENCE)
