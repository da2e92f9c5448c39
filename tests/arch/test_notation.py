"""Notation, canonical form and scaling."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from support.strategies import any_blocks, blocks, spelled

from skexplore.arch.backbones import BACKBONES, PROXY_FORM, REFERENCE, get_backbone
from skexplore.arch.costs import arch_id, cost, net_id
from skexplore.arch.notation import (
    canonical,
    explain,
    format_blocks,
    parse,
    parse_block,
    parse_blocks,
    per_stage,
)
from skexplore.arch.reference import canonical_at_reference
from skexplore.arch.units import UNITS
from skexplore.errors import UserError

PROXY = get_backbone("8x4d-1111-s2")


@given(any_blocks)
def test_notation_round_trips(value):
    assert parse_blocks(format_blocks(value)) == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("k3+k3d2", "k3+k3d2"),  # the paper's block
        ("k3+k5g64", "k3+k5g64"),  # Table 6 row 4
        ("k3d2+k3/sum", "k3+k3d2/sum"),  # Table 7 K3+K5 without attention
        ("k3/r4/L1/sum", "k3"),  # one branch: no r, no L, no sum
        ("k3+k3d2/sum/r4", "k3+k3d2/sum"),  # the sum has neither r nor L
        ("k1d3+k3", "k1+k3"),  # a 1x1 kernel has no dilation
        ("k3+k1/r32", "k1+k3/r32"),
        ("k3+k3d2/r64", "k3+k3d2/r32"),  # the floor acts at every stage either way
        ("k3+k3d2/L4", "k3+k3d2/L1"),  # the smallest d is 8, so a floor of 4 never acts
        ("k3+k3d2/L16", "k3+k3d2/L16"),
        ("k3+k3d2/r16/L32", "k3+k3d2"),
        ("k3;k3;k3;k3", "k3"),
        ("k3+k1;k1+k3;k1+k3/r4;k1+k3", "k1+k3;k1+k3;k1+k3/r4;k1+k3"),
        ("k3+k1/r4;k1+k3;k1+k3;k1+k3", "k1+k3"),  # at 128 channels r4 and r16 with L32 both give d = 32
    ],
)
def test_canonical_form(text, expected):
    assert format_blocks(canonical_at_reference(parse_blocks(text))) == expected


@given(any_blocks)
def test_canonical_form_is_idempotent_and_keeps_the_network(value):
    once = canonical_at_reference(value)
    assert canonical_at_reference(once) == once
    assert cost(once) == cost(value)
    for before, after, width in zip(per_stage(value, 4), per_stage(once, 4), REFERENCE.widths, strict=True):
        assert before.selects == after.selects
        assert [b.groups for b in sorted(before.branches)] != []
        assert len(before.branches) == len(after.branches)
        if before.selects:
            assert before.dim(width) == after.dim(width)


@given(any_blocks)
def test_what_the_canonical_form_changes_is_explained_and_nothing_else(value):
    form = canonical_at_reference(value)
    assert bool(explain(value, REFERENCE.sk_widths)) == (form != value)
    assert explain(form, REFERENCE.sk_widths) == []


@pytest.mark.parametrize(
    ("text", "reasons"),
    [
        ("k3+k3d2", []),
        ("k3d2+k3/sum/r8", ["branches are sorted", "/r8 cannot act (the sum has no attention)"]),
        ("k1d2", ["k1d2: a 1x1 kernel has no dilation"]),
        ("k3/L4/sum", ["/L4 cannot act (one branch", "/sum cannot act (one branch"]),
        ("k3+k3d2/r64", ["/r64/L32 is spelled /r32/L32"]),
        ("k3;k3;k3;k3", ["the stages agree"]),
        ("k3+k5/r4;k3;k3;k3", ["/r4/L32 is spelled /r16/L32 where the width is 128: d = 32 either way"]),
    ],
)
def test_reasons_in_words(text, reasons):
    said = explain(parse_blocks(text), REFERENCE.sk_widths)
    assert len(said) == len(reasons)
    for sentence, reason in zip(said, reasons, strict=True):
        assert reason in sentence


@given(blocks, st.randoms())
def test_branch_order_names_one_architecture(block, random):
    from dataclasses import replace

    shuffled = list(block.branches)
    random.shuffle(shuffled)
    assert arch_id(replace(block, branches=tuple(shuffled))) == arch_id(block)


@given(blocks, blocks)
def test_equal_ids_mean_equal_networks_and_different_forms_differ(one, other):
    same = canonical_at_reference((one,)) == canonical_at_reference((other,))
    assert (arch_id(one) == arch_id(other)) == same


def test_canonical_spelling_prefers_the_default_then_the_smallest_r():
    widths = REFERENCE.widths
    for r in range(1, 1100):
        (form,) = canonical(parse_blocks(f"k3+k3/r{r}"), REFERENCE.sk_widths)
        dims = [max(width // r, 32) for width in widths]
        assert [form.dim(width) for width in widths] == dims
        same = [q for q in range(1, 1100) if [max(width // q, 32) for width in widths] == dims]
        assert form.min_dim == 32
        assert form.reduction == (16 if 16 in same else min(same))


def test_two_architectures_can_be_one_network_in_the_proxy():
    # width 32, 64, 128, 256 and L 8: with r40 d is 8 8 8 8, with r32 likewise; at the reference r20 differs
    one, other = "k3+k3d2/r32", "k3+k3d2/r30"
    assert arch_id(one) != arch_id(other)
    assert net_id(one, PROXY) == net_id(other, PROXY)
    assert net_id("k3+k3d2/r8", PROXY) != net_id(one, PROXY)


def test_scaling_keeps_channels_per_group_and_the_ratio_of_d():
    placed = PROXY.place(parse_blocks("k3+k5g64/r16/L32"))
    for form, width, reference in zip(placed, PROXY.widths, REFERENCE.widths, strict=True):
        assert [b.groups for b in form.branches] == [8, 16]
        assert [width // b.groups for b in form.branches] == [reference // 32, reference // 64]
        assert form.dim(width) * reference == max(reference // 16, 32) * width


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["empty", "BRANCH"]),
        ("k4", ["kernel 4", "odd"]),
        ("k3+", ["branch ''", "k3d2"]),
        ("k3/r0", ["r0", "at least 1"]),
        ("k3/L0", ["L0", "no floor"]),
        ("k3/x", ["'x'", "rN, LN, L=N or sum"]),
        ("k3/r2/r4", ["twice"]),
        ("k3g0", ["groups 0"]),
        ("k3d0", ["dilation 0"]),
        ("K3", ["branch 'K3'"]),
        ("k 3+k3", ["branch 'k 3'"]),
        ("k٣", ["branch"]),
        ("+".join(["k3"] * 9), ["9 branches", "8"]),
        ("k3+" * 500, ["characters"]),
        ("k1001", ["kernel 1001 is too large", "at most 99"]),
        ("k3d100", ["dilation 100 is too large", "at most 99"]),
        ("k3g99999", ["groups 99999 is too large", "at most 9999"]),
        ("k3/r1000000", ["r1000000 is too large", "at most r999999"]),
        ("k3/L" + "9" * 300, ["is too large", "at most L999999"]),
    ],
)
def test_bad_notation_says_what_is_wrong(text, words):
    with pytest.raises(UserError) as error:
        parse_blocks(text)
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("k3g16;k3", ["2 blocks for 4 stages"]),
        ("k3g2", ["groups 2", "0.5", "4, 8, 16, 32, 64, 128"]),
        ("k3g48", ["12", "32, 64, 128, 256"]),
        ("k3+k3/L30", ["L30", "7.5", "multiple of 4"]),
    ],
)
def test_what_the_proxy_cannot_build_is_named_with_what_it_can(text, words):
    with pytest.raises(UserError) as error:
        cost(text, PROXY)
    for word in words:
        assert word in str(error.value)


def test_a_backbone_takes_one_block_or_one_for_each_of_its_stages():
    assert cost("k3;k3;k3", "sknet29") == cost("k3", "sknet29")
    with pytest.raises(
        UserError, match="4 blocks for 3 stages of sknet29: give one block, or 3 with ';' between"
    ):
        cost("k3;k3;k3;k3+k1", "sknet29")


def test_receptive_fields():
    assert [b.receptive_field for b in parse_block("k1+k3+k3d2+k3d3+k7d2").branches] == [1, 3, 5, 7, 13]


def test_unknown_backbone_suggests_the_nearest():
    for near in ("sknet5O", "SKNet50", "sknet_50"):
        with pytest.raises(UserError, match=r"\(did you mean sknet50\?\)"):
            get_backbone(near)
    with pytest.raises(UserError, match=r"\(did you mean 8x4d-1111-s2\?\)"):
        get_backbone("8X4D-1111-S2")


def test_unknown_backbone_names_the_form_of_proxies_and_its_limits():
    with pytest.raises(UserError) as caught:
        get_backbone("100x4d")
    assert max(map(len, str(caught.value).splitlines())) <= 118
    said = " ".join(str(caught.value).split())
    for word in (
        PROXY_FORM,
        "1 to 99",
        "five digits 1 to 9",
        "up to 999,",
        "up to 9999",
        "in this order",
        *UNITS,
    ):
        assert word in said
    for name in BACKBONES:
        assert f" {name}," in said or f" {name} and" in said


@given(spelled)
def test_absolute_numbers_and_activations_round_trip(value):
    assert parse_block(str(value)) == value
    form = canonical((value,), REFERENCE.sk_widths)
    assert canonical(form, REFERENCE.sk_widths) == form
    assert parse_blocks(format_blocks(form)) == form


def test_absolute_numbers_stay_where_relative_ones_are_scaled():
    body = get_backbone("resnet50")  # of cardinality 1: 32 groups become 1, a floor is what is written
    (placed, *_) = body.place(parse_blocks("k3g64+k3g=4/L64"))
    assert ([branch.groups for branch in placed.branches], placed.min_dim) == ([2, 4], 64)
    (placed, *_) = body.place(parse_blocks("k3+k3d2/L=8"))
    assert ([branch.groups for branch in placed.branches], placed.min_dim) == ([1, 1], 8)
    # what cannot be written at cardinality 32 can be written as it stands
    wide = get_backbone("sknet50-wider")  # cardinality 34
    assert wide.place(parse_blocks("k3g=2"))[0].branches[0].groups == 2
    with pytest.raises(UserError, match="groups that do"):
        wide.place(parse_blocks("k3g2"))
    with pytest.raises(
        UserError, match=r"k3g=3 cannot be built on resnet50: .*; groups that do: g=1, g=2, g=4, "
    ):
        body.place(parse_blocks("k3g=3"))


def test_absolute_numbers_make_another_name():
    assert format_blocks(canonical_at_reference(parse_blocks("k3d2g=32+k3/L=32"))) == "k3+k3d2g=32/L=32"
    # a floor that cannot act is dropped, absolute or not
    assert format_blocks(canonical_at_reference(parse_blocks("k3g=8/L=4"))) == "k3g=8"
    assert explain(parse_blocks("k3/L=4"), REFERENCE.sk_widths) == [
        "/L=4 cannot act (one branch: nothing is fused)"
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("k3+k3/r=8", "'r=8' must be rN, LN, L=N or sum"),
        ("k3+k3/L8/L=8", "'L=8' given twice"),
        ("k3g==8", "not of the form"),
        ("k3g=", "not of the form"),
        ("k3gelu", "not of the form"),
        ("k3relulinear", "not of the form"),
        ("k3g=0", "groups 0"),
    ],
)
def test_wrong_absolute_numbers_and_activations(text, said):
    with pytest.raises(UserError, match=said):
        parse_blocks(text)


def test_an_activation_that_is_there_anyway_is_not_another_network():
    assert net_id("k3relu+k3d2", "16x4d-1111") == net_id("k3+k3d2", "16x4d-1111")
    assert net_id("k3linear+k3d2", "16x4d-1111") != net_id("k3+k3d2", "16x4d-1111")
    shuffle = "24x1d-111-shuffle"
    assert net_id("k3linear+k3d2", shuffle) == net_id("k3+k3d2", shuffle)
    assert net_id("k3relu+k3d2", shuffle) != net_id("k3+k3d2", shuffle)


def test_blanks_around_parts_do_not_matter():
    drawn = "k3 + k3d2g64 + k7g128 / r8 / L16 / sum"
    assert format_blocks(parse_blocks(drawn)) == "k3+k3d2g64+k7g128/r8/L16/sum"
    assert parse_blocks(" k3 ; k3 + k5 ; k3;k3 ") == parse_blocks("k3;k3+k5;k3;k3")
    with pytest.raises(UserError, match=r"k 3"):
        parse_blocks("k 3")


def test_parse_returns_what_networks_take():
    assert parse("k3+k3d2") == parse_block("k3+k3d2")
    assert parse("k3;k3;k3+k5;k3") == parse_blocks("k3;k3;k3+k5;k3")
    for wrong in (None, 5, b"k3"):
        with pytest.raises(UserError, match="no notation; give a text"):
            parse(wrong)
