"""Exact cost against outside truth: the paper's rows, and fvcore on built networks."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, given, settings
from support.strategies import any_blocks

from skexplore.arch.architecture import Architecture
from skexplore.arch.attention import Gate, gate_costs
from skexplore.arch.backbones import get_backbone
from skexplore.arch.costs import Cost, check_memory, cost
from skexplore.errors import UserError
from skexplore.nn.flop_count import count, differences
from skexplore.nn.network import build
from skexplore.paper.networks import system_cost
from skexplore.paper.tables import TABLES, published_rows, table_rows

# (params, bn_stats, macs, gate_macs, bn_elements) of an independent count of the rows of Tables 3, 6 and 7
COUNTED = {
    ("k3", "sknet50"): (25028904, 68224, 4230479872, 0, 14400512),
    ("k3d2", "sknet50"): (25028904, 68224, 4230479872, 0, 14400512),
    ("k3+k3d2", "sknet50"): (27479784, 84544, 4462710784, 5519360, 17160800),
    ("k3", "sknet50-wider"): (28017832, 72480, 4739994624, 0, 15250368),
    ("k3", "sknet50-deeper"): (27281704, 76416, 4670423040, 0, 15203328),
    ("k3", "sknet50-36x4d"): (27549352, 72000, 4699324416, 0, 15222144),
    ("k3+k5g64", "sknet50"): (28029928, 84544, 4552626176, 5519360, 17160800),
    ("k3+k7g128", "sknet50"): (27990632, 84544, 4546203648, 5519360, 17160800),
    ("k3+k3d3/sum", "sknet50"): (26458664, 83328, 4461690880, 0, 17160192),
    ("k3+k3d2+k3d3/sum", "sknet50"): (27888424, 98432, 4692901888, 0, 19919872),
    ("k3+k3d2+k3d3", "sknet50"): (29249512, 99648, 4694261760, 8279040, 19920480),
    ("k3+k3d2", "sknet26"): (16746408, 46848, 2586877952, 3010560, 10888512),
    ("k3", "sknet101"): (44177704, 137856, 7969996800, 0, 21224448),
    ("k3", "sknet29"): (25136970, 57472, 4028311552, 0, 8585216),
    ("k3+k1/r32", "sknet29"): (27739626, 79648, 4180854784, 5505024, 11338064),
    ("k3+k3d2", "sknet101"): (48736040, 172672, 8448724992, 8931328, 25691264),
}


@pytest.mark.parametrize(("block", "backbone"), COUNTED)
def test_closed_form_equals_an_independent_count(block, backbone):
    own = cost(block, backbone)
    assert (own.params, own.bn_stats, own.macs, own.gate_macs, own.bn_elements) == COUNTED[block, backbone]


def test_every_row_of_tables_3_6_7_is_near_what_is_printed():
    rows = [row for row in published_rows() if row.table in TABLES]
    assert [len(table_rows(table)) for table in (3, 6, 7)] == [5, 5, 11]
    for row in rows:
        assert row.ours.params / 1e6 == pytest.approx(row.params_m, rel=0.006)
        assert row.ours.macs / 1e9 == pytest.approx(row.gflops, rel=0.005)


@pytest.mark.slow
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(any_blocks)
def test_closed_form_equals_fvcore_on_random_blocks(value):
    assert differences(Architecture.of(value, "8x4d-2111-s2")) == {}


@pytest.mark.parametrize(
    "backbone",
    [
        "sknet26",
        "sknet29",
        "sknet50",
        "16x4d-1211",
        "8x8d-1111-s2",
        "16x4d-1121-c20-o96",
        "sknet50-wider",
        "sknet50-36x4d",
    ],
)
def test_closed_form_equals_fvcore_on_named_backbones(backbone):
    assert differences(Architecture.of("k3+k3d2+k1/r8", backbone)) == {}


def test_another_resolution_and_odd_sizes():
    for size in (33, 97):
        counted = count(build("k3+k3d2+k5g64", "sknet26"), size)
        own = cost("k3+k3d2+k5g64", "sknet26", resolution=size)
        assert (own.macs, own.params, own.activations) == (counted.macs, counted.params, counted.activations)


@given(any_blocks)
def test_the_parts_add_up_to_the_whole(value):
    for backbone in ("sknet50", "8x4d-2111-s2"):
        parts = Architecture.of(value, backbone).cost_by_stage()
        assert list(parts) == ["stem", "stage 1", "stage 2", "stage 3", "stage 4", "head"]
        assert sum(parts.values(), Cost()) == cost(value, backbone)


def test_classes_change_the_head_alone():
    small, large = cost("k3", classes=10), cost("k3", classes=1000)
    assert large.params - small.params == 990 * 2049
    assert large.macs - small.macs == 990 * 2048


def test_sums_of_costs():
    one = cost("k3")
    assert one + Cost() == one
    assert one * 3 == one + one + one


def test_a_proxy_name_says_what_it_is():
    body = get_backbone("16x4d-1211")
    assert body.widths == (64, 128, 256, 512)
    assert [stage.depth for stage in body.stages] == [1, 2, 1, 1]
    assert (body.stem.stride, get_backbone("16x4d-1211-s2").stem.stride) == (1, 2)
    wide = get_backbone("8x8d-2111-c32-o96-s2")
    assert wide.widths == (64, 128, 256, 512)
    assert [stage.out for stage in wide.stages] == [96, 192, 384, 768]
    assert (wide.stem.width, wide.stem.stride, wide.cardinality) == (32, 2, 8)
    assert get_backbone("16x4d").stem.width == 32
    for bad in ("0x4d", "8x0d", "8x4d-11", "8x4d-1111-s3", "8x4d-s2-1111", "8x4d-o0", "8x4d-c0"):
        with pytest.raises(UserError, match="unknown backbone"):
            get_backbone(bad)


@pytest.mark.parametrize("resolution", [0, -1, 4097, 224.0, 224.5, True, "224", float("nan")])
def test_a_resolution_must_be_a_whole_number_in_range(resolution):
    cost("k3", resolution=224)  # 224.0 must not be answered from what 224 has left in the cache
    cost("k3", resolution=1)
    body = get_backbone("sknet50")
    for ask in (
        lambda: cost("k3", resolution=resolution),
        lambda: Architecture.of("k3").cost_by_stage(resolution=resolution),
        lambda: system_cost("senet50", resolution=resolution),
        lambda: Architecture.of("k3", gate="se").cost_by_stage(resolution=resolution),
        lambda: gate_costs(Gate(kind="se"), body, resolution),
    ):
        with pytest.raises(UserError, match=r"resolution .*: must be a whole number from 1 to 4,096; leave"):
            ask()


@pytest.mark.parametrize("classes", [0, -1, 1_000_001, 10.0, True, "10"])
def test_classes_must_be_a_whole_number_in_range(classes):
    cost("k3", classes=10)
    cost("k3", classes=1)
    for ask in (cost, Architecture.of):
        with pytest.raises(UserError, match=r"classes .*: must be a whole number from 1 to 1,000,000; leave"):
            ask("k3", classes=classes)


@pytest.mark.parametrize("classes", [0, -3, 1_000_001, True])
def test_build_refuses_such_classes_too(classes):
    with pytest.raises(UserError, match=r"classes .*: must be a whole number from 1 to 1,000,000"):
        build("k3", "8x4d-1111-s2", classes=classes)


def test_a_count_at_resolution_0_is_not_one_at_the_default():
    with pytest.raises(UserError, match="resolution 0"):
        differences(Architecture.of("k3", "8x4d-1111-s2"), resolution=0)


def test_memory_is_compared_with_float32_params_and_activations(monkeypatch):
    own = Cost(params=600_000_000, activations=400_000_000)
    system = {"SC_PHYS_PAGES": 4_000_000, "SC_PAGE_SIZE": 1000}
    monkeypatch.setattr(os, "sysconf", system.__getitem__)
    check_memory(own, "net")
    system["SC_PHYS_PAGES"] = 3_000_000
    with pytest.raises(UserError, match=r"net: .* 4\.0 GB .* has 3\.0 GB; lower --resolution or choose a"):
        check_memory(own, "net")
    system["SC_PHYS_PAGES"] = 2_000_000
    with pytest.raises(UserError, match=r"has 2\.0 GB; choose a smaller backbone"):
        check_memory(own, "net")
    system["SC_PHYS_PAGES"] = -1  # the system does not tell
    check_memory(own * 1000, "net")
