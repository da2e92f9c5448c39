"""Backbones by name: what others count of the same networks, and what a name may be."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from skexplore.arch.architecture import Architecture
from skexplore.arch.backbones import BACKBONES, cifar_backbone, get_backbone
from skexplore.arch.costs import cost, net_id
from skexplore.arch.reference import get_reference
from skexplore.arch.units import UNITS, UnitForm
from skexplore.errors import UserError

# (params, multiply-adds) of one image by timm's, torchvision's and SimCLR's own networks, and of ShuffleNetV2 by an
# independent count: none of them is ours
KNOWN = {
    ("k3+k3d2/r8/L=16", "skresnet18"): (11_958_056, 1_814_337_536),
    ("k3+k3d2/L=8", "skresnet50"): (25_803_160, 4_089_422_336),
    ("k3+k3d2/L=8", "skresnet50d"): (25_822_392, 4_329_062_912),
    ("k3g=1+k3g=32/L=1", "resnet50"): (26_154_496, 4_147_222_784),
    ("k3", "resnet18"): (11_689_512, 1_814_073_344),
    ("k3", "resnet34"): (21_797_672, 3_663_761_408),
    ("k3", "resnet50"): (25_557_032, 4_089_184_256),
    ("k3", "resnet101"): (44_549_160, 7_801_405_440),
    ("k3", "resnet152"): (60_192_808, 11_513_626_624),
    ("k3", "mobilenetv2"): (3_504_872, 300_774_272),
    ("k3", "shufflenetv2-0.5x-original"): (1_366_792, 40_476_448),
    ("k3", "shufflenetv2-0.5x"): (1_395_880, 40_391_776),
    ("k3+k3d2/r4/L1", "shufflenetv2-0.5x"): (1_471_492, 42_190_192),
    ("k3+k3d2/r4/L16", "shufflenetv2-0.5x"): (1_479_280, 42_197_824),
    ("k3+k3d2/r4", "shufflenetv2-0.5x"): (1_517_792, 42_235_840),
    ("k3", "shufflenetv2-1.0x-original"): (2_278_604, 144_907_992),
    ("k3", "shufflenetv2-1.0x"): (2_443_556, 144_703_368),
    ("k3+k3d2/r4/L1", "shufflenetv2-1.0x"): (2_837_906, 149_021_652),
    ("k3+k3d2/r16/L16", "shufflenetv2-1.0x"): (2_602_992, 148_787_472),
}


@pytest.mark.parametrize(("block", "backbone"), KNOWN)
def test_what_others_count(block, backbone):
    own = cost(block, backbone)
    assert (own.params, own.macs) == KNOWN[block, backbone]


def test_simclrs_network_without_its_head():
    own = cost("k3+k3/L=32", "simclr-r50")
    assert (own.params - 2049 * 1000, own.bn_stats) == (35_215_584, 61_824)


@pytest.mark.parametrize(
    ("gate", "backbone", "params", "macs"),
    [
        ("se/r4", "shufflenetv2-0.5x", 1_541_128, 40_534_624),
        ("se/r4/bn", "shufflenetv2-0.5x", 1_545_928, 40_534_624),
        ("se", "shufflenetv2-1.0x", 2_655_426, 144_910_312),
        ("se/r4", "shufflenetv2-1.0x", 3_283_628, 145_537_640),
    ],
)
def test_shufflenet_with_se(gate, backbone, params, macs):
    own = Architecture.of("k3", backbone, gate=gate).cost()
    assert (own.params, own.macs) == (params, macs)


def test_an_image_need_not_be_square_nor_of_three_channels():
    assert cost("k3+k3d2", resolution=(480, 640)).macs == 27_307_003_904
    assert cost("k3+k3d2", resolution=(224, 224)) == cost("k3+k3d2")
    assert Architecture.of("k3+k3d2", in_channels=1).cost().params == 27_473_512
    parts = Architecture.of("k3+k3d2").cost_by_stage(resolution=(480, 640))
    assert sum(part.macs for part in parts.values()) == 27_307_003_904
    for bad in (0, 2.0, True, 100_000):
        with pytest.raises(UserError, match="channels"):
            Architecture.of("k3", in_channels=bad)
    for sides in ((480, 0), (480.0, 640), (1, 2, 3), (4097, 1)):
        with pytest.raises(UserError, match="resolution"):
            cost("k3", resolution=sides)


def test_a_backbone_for_cifar_takes_images_of_32_pixels():
    assert cifar_backbone("16x4d-1111") == get_backbone("16x4d-1111")
    assert cifar_backbone("sknet29").resolution == 32
    with pytest.raises(UserError, match="224 pixels"):
        cifar_backbone("sknet50")


def test_names_are_those_of_the_registry():
    assert all(body.name == name for name, body in BACKBONES.items())


@given(
    kind=st.sampled_from(sorted(UNITS)),
    cardinality=st.integers(1, 8),
    width=st.sampled_from([6, 12, 24]),
    depths=st.lists(st.integers(1, 3), min_size=3, max_size=5),
)
def test_a_proxy_of_any_unit(kind, cardinality, width, depths):
    suffix = "" if kind == "bottleneck" else f"-{kind}"
    body = get_backbone(f"{cardinality}x{width}d-{''.join(map(str, depths))}{suffix}")
    assert body.unit == UnitForm(kind=kind)
    assert [stage.depth for stage in body.stages] == depths
    assert body.widths == tuple(cardinality * width * 2**i for i in range(len(depths)))
    assert cost("k3g=1" if not body.unit.depthwise else "k3", body).macs > 0


def test_a_proxy_whose_channels_do_not_go_together():
    with pytest.raises(
        UserError, match=r"a unit basic of 64 inner channels cannot have 96 .* leave -o96 out"
    ):
        get_backbone("1x64d-1111-o96-basic")
    with pytest.raises(UserError, match="unknown backbone '8x4d-1111-dense'"):
        get_backbone("8x4d-1111-dense")


def test_groups_of_depthwise_units_are_their_channels():
    body = get_backbone("shufflenetv2-0.5x")
    assert cost("k3g64+k3d2", body) == cost("k3+k3d2", body)
    assert net_id("k3g64+k3d2", body) == net_id("k3+k3d2", body)
    with pytest.raises(UserError, match=r"k3g=2 cannot be built on shufflenetv2-0\.5x: .* leave g out"):
        cost("k3g=2", body)


def test_branches_share_the_channels():
    with pytest.raises(UserError, match="3 branches cannot share the 64 channels in skresnet50 evenly"):
        cost("k3+k3d2+k5", "skresnet50")
    # k3 alone reads them all
    assert cost("k3", "skresnet50") == cost("k3", "resnet50")


def test_a_wrong_form_of_a_unit():
    for wrong in ({"kind": "dense"}, {"shortcut": "none"}, {"activation": "gelu"}):
        with pytest.raises(UserError):
            UnitForm(**wrong)


def test_forms_that_differ_are_different_networks():
    names = ["resnet50", "skresnet50", "simclr-r50", "1x64d", "1x64d-split", "1x64d-1111-basic"]
    ids = {net_id("k3+k3d2", name) for name in names}
    assert len(ids) == len(names)
    # the same network by another name is the same
    assert net_id("k3", "resnext50") == net_id("k3", "sknet50")


@pytest.mark.parametrize(
    ("backbone", "params"),
    [
        # torchvision's mobilenet_v2(width_mult=2.0), ResNet(BasicBlock, [1, 3, 2, 4]), and ResNet(Bottleneck,
        # [2, 3, 4, 5], groups=32, width_per_group=4)
        ("mobilenetv2:x2", 11_258_088),
        ("resnet18:1-3-2-4", 21_352_232),
        ("sknet50:2-3-4-5", 31_417_128),
    ],
)
def test_other_depths_and_widths_as_torchvision_counts_them(backbone, params):
    assert cost("k3", backbone).params == params


@pytest.mark.parametrize(
    ("width", "millions", "macs_m"),
    [("1", 4.2, 569), ("0.75", 2.6, 325), ("0.5", 1.3, 149), ("0.25", 0.5, 41)],
)
def test_the_width_multiplier_of_mobilenetv1(width, millions, macs_m):
    # Howard et al. (2017), Table 6, in millions as printed there
    own = cost("k3", f"mobilenetv1:x{width}")
    assert (round(own.params / 1e6, 1), round(own.macs / 1e6)) == (millions, macs_m)


def test_a_network_has_one_name_however_it_is_varied():
    assert get_backbone("sknet50:3-4-6-3:x1.0") is get_backbone("sknet50")
    assert get_backbone("sknet50:x0.50@160").name == "sknet50:x0.5@160"
    assert get_backbone("sknet50:2-2-2-2:x1").name == "sknet50:2-2-2-2"
    assert net_id("k3+k3d2", "sknet50:2-2-2-2") == net_id("k3+k3d2", "sknet26")
    assert get_backbone("mobilenetv2:x0.5").head == get_backbone("mobilenetv2").head
    assert get_reference("skresnet18:x0.5@160").name == "skresnet18:x0.5@160"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sknet50:x0.3", "0.3 times 64 channels is no whole number"),
        ("sknet50:2-2", "DEPTHS are the units of each of its 4 stages, 1 to 99, its own 3-4-6-3"),
        ("sknet50:0-1-1-1", "DEPTHS are the units"),
        ("sknet50:x0", "WIDTH must be above 0 and at most 8"),
        ("sknet50:x9", "WIDTH must be above 0 and at most 8"),
        ("sknet50:wide", r"give it as NAME\[:DEPTHS\]\[:xWIDTH\]"),
        ("sknet50:x0.5:2-2-2-2", r"give it as NAME\[:DEPTHS\]\[:xWIDTH\]"),
        ("sknet5:x0.5", "did you mean sknet50"),
        ("8x4d-1111:x0.5", "a proxy says its depths and widths itself"),
    ],
)
def test_a_network_that_cannot_be_varied_so(name, said):
    with pytest.raises(UserError, match=said):
        get_backbone(name)
