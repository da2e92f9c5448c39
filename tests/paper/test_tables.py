"""Tables 3, 6 and 7 as printed, and where a block stands on them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from support.strategies import any_blocks

from skexplore.arch.costs import Cost, cost
from skexplore.arch.notation import parse_blocks
from skexplore.errors import UserError
from skexplore.paper.tables import (
    TABLES,
    anchor_blocks,
    anchor_names,
    named_blocks,
    place,
    place_cost,
    published_rows,
    table_rows,
)

# table, row: what the paper prints (definition, top-1 error in %, #P in M, GFLOPs)
PRINTED = {
    (3, 1): ("ResNeXt-50 (32x4d)", "k3", "sknet50", 22.23, 25.0, 4.24),
    (3, 2): ("SKNet-50", "k3+k3d2", "sknet50", 20.79, 27.5, 4.47),
    (3, 3): ("ResNeXt-50, wider", "k3", "sknet50-wider", 22.13, 28.1, 4.74),
    (3, 4): ("ResNeXt-56, deeper", "k3", "sknet50-deeper", 22.04, 27.3, 4.67),
    (3, 5): ("ResNeXt-50 (36x4d)", "k3", "sknet50-36x4d", 22.00, 27.6, 4.70),
    (6, 1): ("3x3 D3 G32", "k3+k3d3", "sknet50", 20.97, 27.5, 4.47),
    (6, 2): ("3x3 D2 G32", "k3+k3d2", "sknet50", 20.79, 27.5, 4.47),
    (6, 3): ("3x3 D1 G32", "k3+k3", "sknet50", 20.91, 27.5, 4.47),
    (6, 4): ("5x5 D1 G64", "k3+k5g64", "sknet50", 20.80, 28.1, 4.56),
    (6, 5): ("7x7 D1 G128", "k3+k7g128", "sknet50", 21.18, 28.1, 4.55),
    (7, 1): ("K3", "k3", "sknet50", 22.23, 25.0, 4.24),
    (7, 2): ("K5", "k3d2", "sknet50", 25.14, 25.0, 4.24),
    (7, 3): ("K7", "k3d3", "sknet50", 25.51, 25.0, 4.24),
    (7, 4): ("K3+K5 sum", "k3+k3d2/sum", "sknet50", 21.76, 26.5, 4.46),
    (7, 5): ("K3+K5 SK", "k3+k3d2", "sknet50", 20.79, 27.5, 4.47),
    (7, 6): ("K3+K7 sum", "k3+k3d3/sum", "sknet50", 21.82, 26.5, 4.46),
    (7, 7): ("K3+K7 SK", "k3+k3d3", "sknet50", 20.97, 27.5, 4.47),
    (7, 8): ("K5+K7 sum", "k3d2+k3d3/sum", "sknet50", 23.64, 26.5, 4.46),
    (7, 9): ("K5+K7 SK", "k3d2+k3d3", "sknet50", 23.09, 27.5, 4.47),
    (7, 10): ("K3+K5+K7 sum", "k3+k3d2+k3d3/sum", "sknet50", 21.47, 28.0, 4.69),
    (7, 11): ("K3+K5+K7 SK", "k3+k3d2+k3d3", "sknet50", 20.76, 29.3, 4.70),
}
ROWS = [(row, block) for (table, _), (row, block, *_) in PRINTED.items() if table != 3]
SK_PAIRS = ("K3+K5 SK", "K3+K7 SK", "K5+K7 SK")


def test_the_tables_are_as_printed():
    rows = {
        (r.table, r.row): (r.system, r.block, r.backbone, r.top1_error_pct, r.params_m, r.gflops)
        for r in published_rows()
        if r.table in TABLES
    }
    assert rows == PRINTED


@pytest.mark.parametrize("table", [3, 6, 7])
def test_rows_are_placed_by_macs_then_params(table):
    rows = table_rows(table)
    assert {row.table for row in rows} == {table}
    keys = [(row.ours.macs, row.ours.params) for row in rows]
    assert keys == sorted(keys)
    assert len(set(keys)) > 1


def test_the_papers_block_stands_on_its_own_rows():
    three, six, seven = place("k3+k3d2")
    assert (three.table, six.table, seven.table) == (3, 6, 7)
    assert three.nearest == ("SKNet-50",)
    assert set(six.nearest) == {"3x3 D3 G32", "3x3 D2 G32", "3x3 D1 G32"}
    assert seven.nearest == SK_PAIRS
    for placement in (three, six, seven):
        assert (placement.params_diff_pct, placement.macs_diff_pct) == (0, 0)
        assert placement.matched
        assert placement.relation == "equals"
    assert (three.below, three.above) == (("ResNeXt-50 (32x4d)",), ("ResNeXt-56, deeper",))
    assert (six.below, six.above) == ((), ("7x7 D1 G128",))
    assert seven.below == ("K3+K5 sum", "K3+K7 sum", "K5+K7 sum")
    assert seven.above == ("K3+K5+K7 sum",)


def test_the_cheapest_block_has_no_row_below_and_the_dearest_none_above():
    for placement in place("k1g128"):
        assert placement.below == ()
        assert placement.above != ()
        assert placement.relation == "dominates"
        assert placement.macs_diff_pct < 0
    for placement in place("k7g32+k7g32+k7g32/r1"):
        assert placement.above == ()
        assert placement.below != ()
        assert placement.relation == "is dominated by"
        assert placement.macs_diff_pct > 0


def moved(params: float, macs: float) -> Cost:
    own = cost("k3+k3d2")
    return Cost(params=round(own.params * params), macs=round(own.macs * macs))


@pytest.mark.parametrize(
    ("params", "macs", "matched", "relation"),
    [
        (1.0099, 1.0099, True, "is dominated by"),
        (0.9901, 0.9901, True, "dominates"),
        (1.0099, 0.9901, True, "trades off against"),
        (1.0101, 1.0, False, "is dominated by"),
        (1.0, 1.0101, False, "is dominated by"),
        (0.9899, 1.0, False, "dominates"),
        (1.0, 0.9899, False, "dominates"),
    ],
)
def test_complexity_is_matched_within_one_percent_in_both(params, macs, matched, relation):
    (three, *_) = place_cost(moved(params, macs))
    assert three.nearest == ("SKNet-50",)
    assert three.matched is matched
    assert three.relation == relation
    assert three.params_diff_pct == pytest.approx(100 * (params - 1), abs=1e-5)
    assert three.macs_diff_pct == pytest.approx(100 * (macs - 1), abs=1e-5)


@settings(max_examples=60)
@given(any_blocks)
def test_nearest_below_and_above_are_what_a_search_by_hand_finds(blocks):
    own = cost(blocks)
    for placement in place(blocks):
        rows = [row for row in published_rows() if row.table == placement.table]
        away = {
            row.system: (math.log(row.ours.params) - math.log(own.params)) ** 2
            + (math.log(row.ours.macs) - math.log(own.macs)) ** 2
            for row in rows
        }
        least = min(away.values())
        assert set(placement.nearest) == {
            name for name, far in away.items() if far <= least * (1 + 1e-9) + 1e-18
        }
        keys = {row.system: (row.ours.macs, row.ours.params) for row in rows}
        here = (own.macs, own.params)
        lower = max((key for key in keys.values() if key < here), default=None)
        higher = min((key for key in keys.values() if key > here), default=None)
        assert set(placement.below) == {name for name, key in keys.items() if key == lower}
        assert set(placement.above) == {name for name, key in keys.items() if key == higher}


def test_a_block_may_be_given_in_any_form():
    assert place("k3+k3d2") == place(parse_blocks("k3+k3d2")) == place(parse_blocks("k3+k3d2")[0])


def test_anchors_are_the_papers_block_and_the_plain_one():
    assert anchor_blocks("two") == ("k3", "k3+k3d2")
    assert anchor_blocks("none") == ()


@pytest.mark.parametrize("table", [6, 7])
def test_anchors_of_a_table_are_the_blocks_of_its_rows(table):
    blocks = [block for (of, _), (_, block, *_) in PRINTED.items() if of == table]
    assert anchor_blocks(f"table{table}") == tuple(blocks)
    assert {*blocks, "k3", "k3+k3d2"} <= {*anchor_blocks("all")}


def test_the_names_of_table_7_are_known_by_architecture():
    names = anchor_names()
    assert sorted(names.values()) == sorted(name for (table, _), (name, *_) in PRINTED.items() if table == 7)


@pytest.mark.parametrize(("row", "block"), ROWS)
def test_a_row_of_tables_6_and_7_is_named_as_it_is_printed(row, block):
    assert named_blocks(row) == named_blocks(row.removesuffix(" SK")) == parse_blocks(block)


def test_notation_is_no_row_and_an_unknown_row_is_refused():
    assert named_blocks("k3+k5") == parse_blocks("k3+k5")
    with pytest.raises(UserError, match="block 'K3\\+K9': branch 'K3'"):
        named_blocks("K3+K9")
