"""Stored identities and exact costs, as literals: what is in a study of an earlier version must be found again."""

from __future__ import annotations

from dataclasses import astuple
from pathlib import Path

import pytest

from skexplore.arch.architecture import Architecture, Setting
from skexplore.arch.costs import Cost, arch_id, net_id
from skexplore.study.store import load_study

PROXY, DEEP = "8x4d-1111-s2", "sknet50"
# block, backbone, gate, BatchNorm in fuse, classes (None: the backbone's) -> identity, and the fields of the cost
PINNED = {
    ("k3+k3d2", DEEP, "", True, None): (
        "9743f69abba8",
        (27479784, 84544, 4462710784, 5519360, 17176904, 17160800),
    ),
    ("k3", DEEP, "", True, None): ("52d1708016c8", (25028904, 68224, 4230479872, 0, 14401512, 14400512)),
    ("k3+k3d2/sum", DEEP, "", True, None): (
        "d7b4d3288c93",
        (26458664, 83328, 4461690880, 0, 17161192, 17160192),
    ),
    ("k3+k3d2/r8/L1", DEEP, "", True, None): (
        "5014e9454923",
        (28346760, 85216, 4463577088, 5519360, 17177240, 17161136),
    ),
    ("k3;k3+k3d2;k3+k3d2/sum;k5", DEEP, "", True, None): (
        "cc11425e5ea6",
        (27224616, 76672, 4452155392, 1605632, 15808616, 15805568),
    ),
    ("k3g128", DEEP, "", True, None): ("b6decf538d16", (23967912, 68224, 4057071616, 0, 14401512, 14400512)),
    ("k3", DEEP, "se", True, None): (
        "504867191209",
        (27559896, 68224, 4232994816, 5519360, 14417560, 14400512),
    ),
    ("k3", DEEP, "se/bn", True, None): (
        "4953fdd32974",
        (27591992, 100320, 4232994816, 5519360, 14417560, 14416560),
    ),
    ("k3+k3d2", DEEP, "", False, None): (
        "c60c3314dddd",
        (27478568, 83328, 4462710784, 5519360, 17176904, 17160192),
    ),
    ("k3+k3d2", "sknet101", "", True, None): (
        "105e1b706e1f",
        (48736040, 172672, 8448724992, 8931328, 25724776, 25691264),
    ),
    ("k3", "sknet50-36x4d", "cbam/r4", True, None): (
        "b73de5f6ccb8",
        (37629608, 72032, 4720802934, 11038720, 15274771, 15236011),
    ),
    ("k3", "sknet101", "bam", True, None): (
        "9e19bbc668f1",
        (44535771, 138752, 8052143872, 1404928, 21494892, 21487984),
    ),
    ("k3+k1/r32", "sknet29", "", True, None): (
        "3c2658936c05",
        (27739626, 79648, 4180854784, 5505024, 11359578, 11338064),
    ),
    ("k3+k1/r32", "sknet29", "", True, 100): (
        "d2475958d7f7",
        (27831876, 79648, 4180946944, 5505024, 11359668, 11338064),
    ),
    ("k3g64+k5g64", "16x4d-1111", "", True, 100): (
        "c831f3d18cd2",
        (2292260, 13664, 134226944, 245760, 1067060, 1065040),
    ),
    ("k3+k3d2", PROXY, "", True, None): (
        "815b8488bb25",
        (659562, 6832, 9701632, 30720, 134130, 133160),
    ),
    ("k3+k3d2/L1", PROXY, "", True, None): (
        "f5a37fc3464d",
        (658198, 6812, 9700288, 30720, 134120, 133150),
    ),
    ("k3+k5g128/r8", PROXY, "", True, None): (
        "baccac41b685",
        (645050, 6880, 9356544, 30720, 134154, 133184),
    ),
    ("k3;k3+k3d2;k3+k3d2/sum;k5", PROXY, "cbam/r4", False, None): (
        "e13112a230ae",
        (874650, 6184, 10001448, 69632, 126790, 124244),
    ),
    ("k3+k3d2/sum", PROXY, "", False, None): ("cb0bfa58c396", (641818, 6752, 9683968, 0, 133130, 133120)),
    ("k3+k3d2", PROXY, "se/r8/bn", False, 100): (
        "ac9c49ff67f7",
        (795932, 8912, 9834752, 61440, 135300, 134200),
    ),
}
ROOT = Path(__file__).parent.parent.parent
ARCHIVES = sorted(path.parent for path in ROOT.glob("studies/**/records.jsonl"))


@pytest.mark.parametrize("network", PINNED, ids=str)
def test_identities_and_costs_are_those_that_studies_hold(network):
    block, backbone, gate, fuse_norm, classes = network
    own = Architecture.of(block, backbone, gate=gate, fuse_norm=fuse_norm, classes=classes)
    assert (own.id, astuple(own.cost())) == PINNED[network]
    assert sum(own.cost_by_stage().values(), Cost()) == own.cost()


def test_the_two_identities_of_a_block():
    assert (arch_id("k3+k3d2"), net_id("k3+k3d2", PROXY)) == ("9743f69abba8", "815b8488bb25")
    assert net_id("k3+k3d2", DEEP) == "b84223dbdd98"  # never stored: nothing is trained at the reference


@pytest.mark.parametrize("backbone", [PROXY, "16x4d-1111", "sknet29"])
def test_the_width_of_fuse_is_part_of_the_identity(backbone):
    """Blocks that differ in d alone are networks of their own."""
    found = {net_id(f"k3+k3d2/r{r}/L1", backbone) for r in (1, 2, 4, 8)}
    assert len(found) == 4


def test_a_hidden_reduction_is_no_part_of_the_identity():
    assert net_id("k3+k3d2/r16/L64", PROXY) == net_id("k3+k3d2/r32/L64", PROXY)


@pytest.mark.parametrize("folder", ARCHIVES, ids=lambda path: path.name)
def test_every_record_of_an_archive_is_found_again(folder):
    """Identities and costs of each record follow from its block and its setting alone."""
    spec = (study := load_study(str(folder))).spec
    references = {(v.block, v.setting): v.reference for v in spec.ablation.variants} if spec.ablation else {}
    assert study.records
    for record in study.records:
        own = record.setting.around(
            record.block, references.get((record.block, record.setting), spec.reference)
        )
        network = spec.proxy(own, record.setting.backbone)
        assert (record.arch_id, record.net_id) == (own.id, network.id)
        there, here = own.cost(), network.cost()
        assert (record.ref_params, record.ref_macs) == (there.params, there.macs)
        assert (record.proxy_params, record.proxy_macs) == (here.params, here.macs)
        assert Setting.of(own, record.setting.backbone) == record.setting


def test_one_network_has_one_identity_however_it_is_written():
    proxy = "8x4d-1111-s2"
    assert net_id("k3+k3d2", proxy) == net_id("k3g=8+k3d2g=8/L=8", proxy)
    for other in ("k3relu+k3d2", "k3g=32+k3d2", "k3+k3d2/L=32"):
        assert net_id(other, "sknet50") == net_id("k3+k3d2", "sknet50")
    # one spelling at the reference, and another d where widths and floor are in another proportion
    assert net_id("k3+k3d2/r100", "sknet29-16x64d") != net_id("k3+k3d2/r32", "sknet29-16x64d")
    # old proxies keep the identities of records
    assert net_id("k3", "1x1d-1111") == "3e20171a0a0d"
    assert net_id("k3+k3d2", "16x4d-1111") == "50edf2fbae27"
