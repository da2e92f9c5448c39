"""The reference of one's choice: what blocks are there, and which proxy stands for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from support.strategies import blocks

from skexplore.arch.backbones import BACKBONES, REFERENCE, get_backbone
from skexplore.arch.costs import arch_id, cost, net_id
from skexplore.arch.notation import format_blocks, parse_blocks
from skexplore.arch.proxies import proxy_name, stand_in
from skexplore.arch.reference import canonical_at_reference, counts_groups, get_reference
from skexplore.errors import UserError

QUICK, STANDARD = get_backbone("4x4d-1111-c32"), get_backbone("16x4d-1111")


def test_a_name_says_the_size_of_its_images():
    wide = get_backbone("sknet50@480x640")
    assert cost("k3+k3d2", wide).macs == 27_307_003_904
    assert get_backbone(wide.name) == wide
    assert get_backbone("sknet50@224") is REFERENCE
    assert get_backbone("sknet50@160").name == "sknet50@160"
    assert net_id("k3", "sknet50@160") != net_id("k3", "sknet50")
    for wrong in ("sknet50@", "sknet50@0", "sknet50@2x3x4", "sknet50@a", "sknet50@160@160"):
        with pytest.raises(UserError, match="HEIGHTxWIDTH"):
            get_backbone(wrong)
    with pytest.raises(UserError, match="did you mean sknet50"):
        get_backbone("sknet5O@160")


@pytest.mark.parametrize("name", BACKBONES)
def test_what_can_be_a_reference(name):
    body = BACKBONES[name]
    if counts_groups(body) and body.cardinality != 32:
        with pytest.raises(UserError, match=f"reference {name}: of cardinality {body.cardinality}, but"):
            get_reference(name)
    else:
        assert get_reference(name) == body


@pytest.mark.parametrize(
    ("reference", "text", "form"),
    [
        ("skresnet18", "k3+k3d2", "k3+k3d2"),
        ("skresnet18", "k3d2g=1+k3/L=32", "k3+k3d2"),
        ("skresnet18", "k3g64+k5/L=8", "k3g=2+k5/L8"),
        ("skresnet18", "k3g64+k5/L=8/sum", "k3g=2+k5/sum"),
        ("resnet50", "k3relu", "k3"),
        ("resnet50", "k3linear", "k3linear"),
        ("shufflenetv2-1.0x", "k3linear", "k3"),
        ("shufflenetv2-1.0x", "k3relu+k3g64/r4", "k3+k3relu/r4"),
        ("shufflenetv2-1.0x", "k3;k3;k3", "k3"),
        ("mobilenetv2", "k3+k3/L=16/r1000", "k3+k3/r57/L16"),
        ("resnext50", "k3g=64+k3/L=16", "k3+k3g64/L16"),
        ("sknet50", "k3g=64+k3/L=16", "k3+k3g=64/L=16"),
    ],
)
def test_one_spelling_at_a_reference(reference, text, form):
    body = get_reference(reference)
    found = canonical_at_reference(parse_blocks(text), body)
    assert format_blocks(found) == form
    assert canonical_at_reference(found, body) == found
    assert cost(found, body) == cost(text, body)
    assert arch_id(found, body) == arch_id(text, body)


@given(blocks)
def test_the_canonical_form_is_the_same_network_at_every_reference(block):
    for name in ("skresnet18", "resnet50d", "shufflenetv2-1.0x", "mobilenetv2", "sknet50@160", "mobilenetv1"):
        body = get_reference(name)
        try:
            body.place((block,))
        except UserError:
            continue
        form = canonical_at_reference((block,), body)
        assert canonical_at_reference(form, body) == form
        assert net_id(form, body) == net_id(block, body) == arch_id(block, body)


def test_stages_are_those_of_the_reference():
    light = get_reference("shufflenetv2-1.0x")
    assert len(canonical_at_reference(parse_blocks("k3;k3;k5"), light)) == 3
    with pytest.raises(UserError, match="4 blocks for 3 stages"):
        canonical_at_reference(parse_blocks("k3;k3;k5;k5"), light)


@pytest.mark.parametrize("like", [QUICK, STANDARD])
@pytest.mark.parametrize("name", [name for name in BACKBONES if not name.startswith("sknet29")])
def test_every_reference_has_a_proxy_of_its_kind_that_costs_about_as_much(name, like):
    if counts_groups(BACKBONES[name]) and BACKBONES[name].cardinality != 32:
        return
    reference = get_reference(name)
    found = get_backbone(proxy_name(reference, like))
    body = stand_in(found, reference)
    assert found.resolution == 32
    assert body.unit == reference.unit
    assert found.stem.width == like.stem.width
    if len(reference.stages) <= 5:
        assert len(body.stages) == len(reference.stages)
    # within a factor of two, but where the largest name there is costs less
    assert 0.5 < cost("k3+k3d2", body).macs / cost("k3+k3d2", like).macs < 2 or body.widths[0] > 90


def test_d_keeps_its_share_of_the_channels_in_a_proxy():
    reference = get_reference("resnet50")
    body = stand_in(get_backbone("1x16d-1111-o64"), reference)
    for text in ("k3+k3d2", "k3+k3d2/r4", "k3+k3d2/L64"):
        there, here = reference.place(parse_blocks(text)), body.place(parse_blocks(text))
        shares = [
            (a.dim(wide) / wide, b.dim(thin) / thin)
            for a, b, wide, thin in zip(there, here, reference.widths, body.widths, strict=True)
        ]
        assert all(one == other for one, other in shares)
    # L1 is no floor, and one that is written as absolute stays
    assert body.place(parse_blocks("k3+k3/L1"))[0].min_dim == 1
    assert body.place(parse_blocks("k3+k3/L=32"))[0].min_dim == 32
    assert stand_in(QUICK, REFERENCE) is QUICK


@pytest.mark.parametrize(
    ("reference", "proxy"),
    [
        ("skresnet18", "8x4d-1111"),
        ("skresnet18", "1x16d-1111-basic"),
        ("resnet50", "8x4d-1111"),
        ("shufflenetv2-1.0x", "16x1d-111-inverted"),
    ],
)
def test_a_proxy_of_another_kind_is_refused(reference, proxy):
    with pytest.raises(UserError, match=f"{proxy}: does not stand for the reference {reference}") as error:
        stand_in(get_backbone(proxy), get_reference(reference))
    named = str(error.value).rsplit(" ", 1)[-1]
    stand_in(get_backbone(named), get_reference(reference))


def test_absolute_groups_are_refused_by_a_depthwise_reference_and_not_forgotten():
    body = get_reference("shufflenetv2-1.0x")
    form = canonical_at_reference(parse_blocks("k3g=1+k3"), body)
    with pytest.raises(UserError, match="its convolutions are depthwise"):
        body.place(form)


def test_old_proxies_without_groups_keep_their_networks():
    # of records that there may be: L is times 1 / 32 where the reference counts groups
    assert net_id("k3+k3d2", stand_in(get_backbone("1x16d-1111"), REFERENCE)) == "351b872b374f"


def test_the_papers_network_for_small_images_stands_for_sknet50_alone():
    with pytest.raises(UserError, match="sknet29 stands for networks with groups alone"):
        proxy_name(get_reference("resnet50"), get_backbone("sknet29"))
