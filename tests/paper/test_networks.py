"""The paper's networks: an independent count, fvcore, other people's modules, and the printed tables."""

from __future__ import annotations

import csv
import io

import pytest

from skexplore.arch.attention import Gate
from skexplore.arch.backbones import get_backbone
from skexplore.arch.costs import Cost
from skexplore.arch.notation import parse_blocks
from skexplore.errors import UserError
from skexplore.nn.flop_count import count, differences
from skexplore.nn.network import build_system
from skexplore.paper.accounting import MACS, PARAMS, reproduce, table_names, to_csv
from skexplore.paper.networks import SYSTEMS, get_system, system_cost
from skexplore.paper.outside import OUTSIDE, UNBUILT
from skexplore.paper.tables import printed_rows

# (params, bn_stats, macs, gate_macs, bn_elements) of an independent count; it left BAM's gates out
COUNTED = {
    "resnext50": (25028904, 68224, 4230479872, 0, 14400512),
    "senet50": (27559896, 68224, 4232994816, 5519360, 14400512),
    "senet50-bn": (27591992, 100320, 4232994816, 5519360, 14416560),
    "sknet50": (27479784, 84544, 4462710784, 5519360, 17160800),
    "resnext50-bam": (25386971, 69120, 4312626944, None, 14664048),
    "resnext50-cbam": (27561496, 68256, 4236868726, 11038720, 14414379),
    "resnext101": (44177704, 137856, 7969996800, 0, 21224448),
    "resnext101-bam": (44535771, 138752, 8052143872, None, 21487984),
    "resnext101-cbam": (48958716, 137922, 7981168638, 17862656, 21241647),
    "senet101": (48955416, 137856, 7974739968, 8931328, 21224448),
    "senet101-bn": (49024504, 206944, 7974739968, 8931328, 21258992),
    "sknet101": (48736040, 172672, 8448724992, 8931328, 25691264),
    "sknet101-released": (48686760, 172544, 8448675840, 8931328, 25691200),
    "resnext50-wider": (28017832, 72480, 4739994624, 0, 15250368),
    "resnext56": (27281704, 76416, 4670423040, 0, 15203328),
    "resnext56-conv5": (34023720, 84608, 4670423040, 0, 14801920),
    "resnext50-36x4d": (27549352, 72000, 4699324416, 0, 15222144),
    "resnext29-16x32d": (25136970, 57472, 4028311552, 0, 8585216),
    "resnext29-8x64d": (34426698, 57472, 5387266048, 0, 8585216),
    "resnext29-16x64d": (68155210, 100480, 10688866304, 0, 15269888),
    "senet29": (25658778, 57472, 4028827648, 1376256, 8585216),
    "senet29-8x64d": (34948506, 57472, 5387782144, 1376256, 8585216),
    "sknet29-floor32": (27813450, 79744, 4180928512, 5505024, 11338112),
    "sknet29": (27739626, 79648, 4180854784, 5505024, 11338064),
    "sknet50-k3+k3d3": (27479784, 84544, 4462710784, 5519360, 17160800),
    "sknet50-k3+k3": (27479784, 84544, 4462710784, 5519360, 17160800),
    "sknet50-k3+k5g64": (28029928, 84544, 4552626176, 5519360, 17160800),
    "sknet50-k3+k7g128": (27990632, 84544, 4546203648, 5519360, 17160800),
    "resnext50-k3d2": (25028904, 68224, 4230479872, 0, 14400512),
    "resnext50-k3d3": (25028904, 68224, 4230479872, 0, 14400512),
    "sknet50-k3+k3d2-sum": (26458664, 83328, 4461690880, 0, 17160192),
    "sknet50-k3+k3d3-sum": (26458664, 83328, 4461690880, 0, 17160192),
    "sknet50-k3d2+k3d3-sum": (26458664, 83328, 4461690880, 0, 17160192),
    "sknet50-k3d2+k3d3": (27479784, 84544, 4462710784, 5519360, 17160800),
    "sknet50-k3+k3d2+k3d3-sum": (27888424, 98432, 4692901888, 0, 19919872),
    "sknet50-k3+k3d2+k3d3": (29249512, 99648, 4694261760, 8279040, 19920480),
    "sknet26": (16746408, 46848, 2586877952, 3010560, 10888512),
    "shufflenetv2-0.5x-original": (1366792, 7952, 40476448, 0, 1023904),
    "shufflenetv2-0.5x": (1395880, 8528, 40391776, 0, 995680),
    "shufflenetv2-0.5x-se": (1541128, 8528, 40534624, 319872, 995680),
    "shufflenetv2-0.5x-se-bn": (1545928, 13328, 40534624, 319872, 998080),
    "shufflenetv2-0.5x-sk": (1471492, 11348, 42190192, 385728, 1188826),
    "shufflenetv2-0.5x-sk-floor16": (1479280, 11504, 42197824, 385728, 1188904),
    "shufflenetv2-0.5x-sk-floor32": (1517792, 12000, 42235840, 385728, 1189152),
    "shufflenetv2-1.0x-original": (2278604, 16180, 144907992, 0, 1950200),
    "shufflenetv2-1.0x": (2443556, 17572, 144703368, 0, 1881992),
    "shufflenetv2-1.0x-se": (3283628, 17572, 145537640, 773024, 1881992),
    "shufflenetv2-1.0x-se-r16": (2655426, 17572, 144910312, 773024, 1881992),
    "shufflenetv2-1.0x-sk": (2837906, 24298, 149021652, 878864, 2322095),
    "shufflenetv2-1.0x-sk-r8": (2654312, 23620, 148838736, 878864, 2321756),
    "shufflenetv2-1.0x-sk-r16": (2602992, 23564, 148787472, 878864, 2321728),
    # a ReLU has no numbers and no multiply-adds
    "shufflenetv2-1.0x-sk-relu3": (2837906, 24298, 149021652, 878864, 2322095),
    "shufflenetv2-1.0x-sk-relu5": (2837906, 24298, 149021652, 878864, 2322095),
    "shufflenetv2-1.0x-sk-relu": (2837906, 24298, 149021652, 878864, 2322095),
    # torchvision's own, by fvcore and by hooks on its BatchNorms
    "resnet50": (25557032, 53120, 4089184256, 0, 11113984),
    "resnet101": (44549160, 105344, 7801405440, 0, 16231936),
    "resnet152": (60192808, 151424, 11513626624, 0, 22554112),
}


@pytest.mark.parametrize("name", SYSTEMS)
def test_every_system_equals_an_independent_count(name):
    own = system_cost(name)
    params, bn_stats, macs, gate_macs, bn_elements = COUNTED[name]
    assert (own.params, own.bn_stats, own.macs, own.bn_elements) == (params, bn_stats, macs, bn_elements)
    if gate_macs is not None:
        assert own.gate_macs == gate_macs


def test_bam_rescales_every_element_of_three_stages_once():
    own = system_cost("resnext50-bam")
    assert own.gate_macs == 256 * 56**2 + 512 * 28**2 + 1024 * 14**2


@pytest.mark.parametrize("name", SYSTEMS)
def test_closed_form_equals_fvcore_on_every_system(name):
    system = get_system(name)
    body = get_backbone(system.backbone)
    # the counts of layers do not depend on the resolution: a small one keeps the whole registry affordable
    size = 64 if body.resolution == 224 else 32
    assert differences(system.architecture(), resolution=size) == {}


@pytest.mark.parametrize("name", ["senet50", "resnext50-cbam", "resnext50-bam"])
def test_closed_form_equals_fvcore_at_full_resolution(name):
    counted, own = count(build_system(name), 224), system_cost(name)
    assert (own.params, own.bn_stats, own.macs, own.activations) == (
        counted.params,
        counted.bn_stats,
        counted.macs,
        counted.activations,
    )


@pytest.mark.parametrize("name", ["resnext50-bam", "senet29", "sknet101-released"])
def test_the_parts_of_a_system_add_up_to_the_whole(name):
    parts = get_system(name).architecture(7).cost_by_stage(resolution=97)
    assert sum(parts.values(), Cost()) == system_cost(name, resolution=97, classes=7)


def test_unknown_system_and_unknown_gate():
    with pytest.raises(UserError, match="did you mean sknet50"):
        get_system("sknet5")
    with pytest.raises(UserError, match="must be one of se, cbam, bam"):
        Gate(kind="eca")


# what the accountings print, as found by hand from the counts above
PRINTS_AS = {
    "resnext50": {"params", "macs+bn_elements"},
    "sknet50": {"params", "macs+gate_macs"},
    "resnext50-wider": {"params+bn_stats", "macs"},
    "resnext56": {"params", "macs"},
    "resnext50-36x4d": {"params+bn_stats", "macs"},
}


def test_table_3_is_reproduced():
    rows = reproduce("3")
    main = [row for row in rows if not row.alternative]
    assert [row.system for row in main] == [row.system for row in printed_rows() if row.table == "3"]
    assert {row.definition.split(":")[0]: set(row.prints_as) for row in main} == PRINTS_AS
    (other,) = [row for row in rows if row.alternative]
    assert other.params_diff_pct == pytest.approx(24.63, abs=0.01)
    assert "no accounting prints 27.3M" in other.note


def test_the_accountings_that_the_paper_mixes():
    rows = {(row.table, row.definition.split(":")[0]): row for row in reproduce() if row.definition}
    for name in ("senet50", "senet101", "resnext101"):
        assert "macs+bn_elements" in rows["2", name].prints_as
        assert "macs" not in rows["2", name].prints_as
    for name in ("resnext50-bam", "resnext101-bam"):
        assert "macs" in rows["2", name].prints_as
    for name in ("sknet50", "sknet101"):
        assert "macs+gate_macs" in rows["2", name].prints_as
    for name in ("sknet50-k3+k3d2-sum", "sknet50-k3+k3d2+k3d3-sum"):
        assert "macs" in rows["7", name].prints_as
    assert "params" in rows["5", "sknet29"].prints_as
    assert "no accounting prints 35.0M" in rows["5", "senet29"].note
    assert rows["5", "senet29-8x64d"].alternative


def test_our_reading_of_every_built_row_is_near_what_is_printed():
    for row in reproduce():
        # Table 4 prints its light networks by several accountings: the next test
        if (
            row.definition
            and not row.alternative
            and not row.definition.startswith("senet29:")
            and row.table != "4"
        ):
            if row.params_diff_pct is not None:
                assert abs(row.params_diff_pct) <= 0.6, row
            if row.macs_diff_pct is not None:
                assert abs(row.macs_diff_pct) <= 0.5, row


def test_what_the_light_networks_print():
    rows = {row.definition.split(":")[0].removeprefix("shufflenetv2-"): row for row in reproduce("4")}
    assert "macs" in rows["0.5x"].prints_as
    assert "macs+gate_macs" in rows["0.5x-se"].prints_as
    assert set(rows["0.5x-sk"].prints_as) == {"params+bn_stats", "macs+gate_macs"}
    assert "params+bn_stats" in rows["0.5x-se-bn"].prints_as
    assert "params" in rows["1.0x-se-r16"].prints_as
    assert "params+bn_stats" in rows["1.0x-sk-r16"].prints_as
    assert "no accounting prints 2.63M" in rows["1.0x-sk"].note
    for name, excess in (("1.0x", 3.1), ("1.0x-se", 2.7), ("1.0x-sk", 2.3)):
        assert rows[name].macs_diff_pct == pytest.approx(excess, abs=0.05)


def test_a_relu_in_a_branch_costs_nothing():
    rows = [row for row in reproduce("S8") if not row.alternative]
    assert [(row.params, row.macs) for row in rows] == [(2837906, 149021652)] * 4


def test_rows_that_are_not_built_say_so():
    rows = [row for row in reproduce() if not row.definition]
    assert {row.table for row in rows} == {"2", "S9"}
    for row in rows:
        unbuilt = row.system in UNBUILT
        assert row.note.startswith("not buildable: " if unbuilt else "not counted: ")
        assert unbuilt or any(package in row.note for package in ("needs torchvision", "needs timm"))
        assert row.params is None
        assert row.prints_as == ()
    for table in ("1", "3", "4", "5", "6", "7", "S8"):
        assert all(row.definition for row in reproduce(table))


def test_every_printed_row_is_there_once_and_every_definition_is_known():
    main = [row for row in reproduce() if not row.alternative]
    assert [(row.table, row.system) for row in main] == [(row.table, row.system) for row in printed_rows()]
    assert len(main) == 75
    assert {row.definition for row in printed_rows() if row.definition} <= {*SYSTEMS, *OUTSIDE}
    assert {row.system for row in printed_rows() if not row.definition} == set(UNBUILT)
    used = {row.definition.split(":")[0] for row in reproduce() if row.definition}
    assert used == set(SYSTEMS)


def test_csv_holds_the_same_rows():
    rows = reproduce()
    read = list(csv.DictReader(io.StringIO(to_csv(rows))))
    assert len(read) == len(rows)
    for line, row in zip(read, rows, strict=True):
        assert line["macs"] == ("" if row.macs is None else str(row.macs))
        assert line["prints_as"] == ";".join(row.prints_as)
        assert set(row.prints_as) <= {*PARAMS, *MACS}


def test_an_unknown_table_names_the_known_ones():
    assert table_names() == ["1", "2", "3", "4", "5", "6", "7", "S8", "S9"]
    with pytest.raises(UserError, match="must be one of 1, 2, 3"):
        reproduce("8")


def test_the_floor_of_another_reading_is_told_at_both_cardinalities():
    system = get_system("sknet29-floor32")
    (placed,) = set(get_backbone(system.backbone).place(parse_blocks(system.block)))
    assert placed.min_dim == 32
    for word in (f"L = {placed.min_dim} in this network", "written L64", "cardinality 32"):
        assert word in system.why
