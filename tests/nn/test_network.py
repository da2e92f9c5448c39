"""Networks against outside truth (timm, torchvision, the paper's equations), then structure and manners."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings, strategies as st
from support.networks import randomise
from torch import Tensor, nn

from skexplore.arch.backbones import get_backbone
from skexplore.arch.costs import cost
from skexplore.arch.notation import Branch, SKBlock, parse_block
from skexplore.errors import UserError
from skexplore.nn.layers import SKConv, record_attention
from skexplore.nn.network import build, seeded_build
from skexplore.nn.units import SKUnit
from skexplore.paper.tables import TABLES, published_rows

PROXY = "8x4d-1111-s2"
TABLES_3_6_7 = sorted({(row.block, row.backbone) for row in published_rows() if row.table in TABLES})


def copy_weights(source: nn.Module, target: nn.Module, names: dict[str, str]) -> None:
    """Copy module by module: ``names`` maps prefixes of ours to theirs, all numbers of both must be used."""
    theirs, filled = source.state_dict(), {}
    for name, tensor in target.state_dict().items():
        prefix, leaf = name.rsplit(".", 1)
        filled[name] = theirs.pop(f"{names[prefix]}.{leaf}").reshape(tensor.shape)
    assert not theirs
    target.load_state_dict(filled, assign=True)


def bottleneck_names(inner: dict[str, str], outer: dict[str, str], shortcut: str) -> dict[str, str]:
    """Map our module names of SKNet-50 to those of a ResNet in timm's and torchvision's style."""
    names = {"stem.0": "conv1", "stem.1": "bn1", "classifier": "fc"}
    for stage, depth in enumerate((3, 4, 6, 3)):
        for unit in range(depth):
            ours, theirs = f"stages.{stage}.{unit}", f"layer{stage + 1}.{unit}"
            names |= {f"{ours}.{own}": f"{theirs}.{other}" for own, other in (inner | outer).items()}
            if unit == 0:
                names |= {f"{ours}.shortcut.{i}": f"{theirs}.{shortcut}.{i}" for i in (0, 1)}
    return names


def images(count: int, side: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((count, 3, side, side), generator=generator, dtype=torch.float64)


def test_the_papers_block_computes_what_timms_skresnext50_computes():
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    theirs = randomise(timm.create_model("skresnext50_32x4d", pretrained=False))
    with torch.device("meta"):
        ours = build("k3+k3d2").eval()
    inner = {
        f"sk.branches.{i}.{j}": f"conv2.paths.{i}.{m}" for i in (0, 1) for j, m in enumerate(("conv", "bn"))
    }
    inner |= {
        "sk.fc.0": "conv2.attn.fc_reduce",
        "sk.fc.1": "conv2.attn.bn",
        "sk.attend": "conv2.attn.fc_select",
    }
    outer = {
        "reduce.0": "conv1.conv",
        "reduce.1": "conv1.bn",
        "expand.0": "conv3.conv",
        "expand.1": "conv3.bn",
    }
    copy_weights(theirs, ours, bottleneck_names(inner, outer, "downsample"))
    x = images(2, 48)
    with torch.no_grad(), record_attention(ours) as attention:
        own, other = ours(x), theirs(x)
    # the comparison is worth something: outputs differ between images, and attention is neither 1/2 nor 0 or 1
    assert (other[0] - other[1]).abs().max() > 1e-3 * other.abs().max()
    first = attention["stages.0.0.sk"]
    assert 0.05 < (first[:, 0] - 0.5).abs().mean() < 0.45
    assert (own - other).abs().max() / other.abs().max() < 1e-10


def test_a_plain_k3_block_computes_what_torchvisions_resnext50_computes():
    from torchvision.models import resnext50_32x4d

    torch.manual_seed(0)
    theirs = randomise(resnext50_32x4d(weights=None))
    with torch.device("meta"):
        ours = build("k3").eval()
    inner = {"sk.branches.0.0": "conv2", "sk.branches.0.1": "bn2"}
    outer = {"reduce.0": "conv1", "reduce.1": "bn1", "expand.0": "conv3", "expand.1": "bn3"}
    copy_weights(theirs, ours, bottleneck_names(inner, outer, "downsample"))
    x = images(2, 48)
    with torch.no_grad():
        own, other = ours(x), theirs(x)
    assert (other[0] - other[1]).abs().max() > 1e-3 * other.abs().max()
    assert (own - other).abs().max() / other.abs().max() < 1e-10


def equations_1_to_6(conv: SKConv, block: SKBlock, x: Tensor, stride: int) -> Tensor:
    """Return V of the paper's section 3.1, written down once more with nothing but tensors."""
    state = conv.state_dict()

    def normalised(y: Tensor, prefix: str, training: bool) -> Tensor:
        axes = [axis for axis in range(y.dim()) if axis != 1]
        shape = [-1 if axis == 1 else 1 for axis in range(y.dim())]
        if training:
            mean, var = y.mean(axes), y.var(axes, unbiased=False)
        else:
            mean, var = state[f"{prefix}.running_mean"], state[f"{prefix}.running_var"]
        scaled = (y - mean.view(shape)) / (var.view(shape) + 1e-5).sqrt()
        return scaled * state[f"{prefix}.weight"].view(shape) + state[f"{prefix}.bias"].view(shape)

    split = []
    for number, branch in enumerate(block.branches):
        y = nn.functional.conv2d(
            x,
            state[f"branches.{number}.0.weight"],
            stride=stride,
            padding=branch.dilation * (branch.kernel - 1) // 2,
            dilation=branch.dilation,
            groups=branch.groups,
        )
        split.append(normalised(y, f"branches.{number}.1", conv.training).clamp(min=0))
    stacked = torch.stack(split)  # M, batch, C, H, W
    U = stacked.sum(0)  # Eq. 1
    if len(split) == 1 or block.fuse == "sum":
        return U
    s = U.mean((2, 3))  # Eq. 2
    z = normalised(s @ state["fc.0.weight"].T, "fc.1", conv.training).clamp(min=0)  # Eq. 3
    matrices = state["attend.weight"].reshape(len(split), x.shape[1], -1)  # one C x d matrix per branch
    logits = torch.einsum("mcd,bd->mbc", matrices, z)
    weights = logits.exp() / logits.exp().sum(0)  # Eq. 5: over the branches, channel by channel
    return (stacked * weights[..., None, None]).sum(0)  # Eq. 6


small_branches = st.builds(
    Branch, kernel=st.sampled_from([1, 3, 5]), dilation=st.integers(1, 3), groups=st.sampled_from([1, 4, 16])
)


@settings(max_examples=40)
@given(
    branches=st.lists(small_branches, min_size=1, max_size=3).map(tuple),
    reduction=st.sampled_from([2, 4, 16]),
    min_dim=st.sampled_from([1, 3, 8]),
    fuse=st.sampled_from(["select", "sum"]),
    stride=st.sampled_from([1, 2]),
    training=st.booleans(),
    side=st.integers(4, 9),
)
def test_an_sk_convolution_is_equations_1_to_6(branches, reduction, min_dim, fuse, stride, training, side):
    block = SKBlock(branches=branches, reduction=reduction, min_dim=min_dim, fuse=fuse)
    torch.manual_seed(2)
    conv = SKConv(16, block, stride=stride)
    randomise(conv)
    if block.selects:
        assert conv.fc[0].out_features == max(16 // reduction, min_dim)
    conv.train(training)
    x = torch.randn((3, 16, side, side), dtype=torch.float64)
    with torch.no_grad():
        expected = equations_1_to_6(conv, block, x, stride)
        torch.testing.assert_close(conv(x), expected, rtol=1e-9, atol=1e-9)
    assert expected.shape[-1] == -(-side // stride)


@pytest.mark.parametrize(
    "block", ["k3+k3d2", "k3+k5g64+k1/r4/L16", "k3+k3d2/sum", "k3", "k3;k3+k1;k3+k5/sum;k3d2"]
)
def test_a_gradient_reaches_every_parameter(block):
    network = seeded_build(block, PROXY, seed=0)
    network(images(4, 16).float()).square().mean().backward()
    idle = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert idle == []


def test_one_image_works_in_eval_and_gives_what_it_gives_in_a_batch():
    network = seeded_build("k3+k3d2", PROXY, seed=0).double().eval()
    x = images(3, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(x[:1]), network(x)[:1], rtol=1e-9, atol=1e-9)


def test_one_image_in_training_says_what_to_do():
    network = seeded_build("k3+k3d2", PROXY, seed=0)
    with pytest.raises(ValueError, match=r"one image in training.*at least 2.*larger batch or eval\(\)"):
        network(images(1, 32).float())


@pytest.mark.parametrize("side", [33, 17, 7])
def test_odd_sizes_give_finite_logits_and_maps_of_half_the_side_rounded_up(side):
    network = seeded_build("k3+k3d2+k5", "8x4d", seed=0).eval()
    with torch.no_grad():
        x = network.stem(images(2, side).float())
        for number, stage in enumerate(network.stages):
            x = stage(x)
            assert x.shape[-2:] == (-(-side // 2**number),) * 2
        logits = network(images(2, side).float())
    assert logits.shape == (2, 10)
    assert logits.isfinite().all()


def test_recorded_attention_has_one_weight_per_image_branch_and_channel_and_sums_to_one():
    network = seeded_build("k3+k3d2+k1", "8x4d-2111-s2", seed=0).eval()
    with torch.no_grad(), record_attention(network) as attention:
        network(images(2, 32).float())
    shapes = {name: tuple(weights.shape) for name, weights in attention.items()}
    assert shapes == {
        "stages.0.0.sk": (2, 3, 32),
        "stages.0.1.sk": (2, 3, 32),
        "stages.1.0.sk": (2, 3, 64),
        "stages.2.0.sk": (2, 3, 128),
        "stages.3.0.sk": (2, 3, 256),
    }
    for weights in attention.values():
        torch.testing.assert_close(weights.sum(1), torch.ones_like(weights[:, 0]))
        assert weights.std() > 0


def test_recorded_attention_is_what_the_convolution_used():
    torch.manual_seed(0)
    conv = randomise(SKConv(16, parse_block("k3g4+k3d2g4/r4/L1")))
    x = torch.randn((2, 16, 5, 5), dtype=torch.float64)
    with torch.no_grad(), record_attention(conv) as attention:
        out = conv(x)
        maps = torch.stack([branch(x) for branch in conv.branches], dim=1)
    torch.testing.assert_close((maps * attention[""][..., None, None]).sum(1), out)


def test_blocks_that_do_not_select_have_no_recorded_attention():
    network = seeded_build("k3;k3+k3d2/sum;k3+k3d2;k5", PROXY, seed=0).eval()
    with torch.no_grad(), record_attention(network) as attention:
        network(images(2, 32).float())
    assert list(attention) == ["stages.2.0.sk"]


def test_recording_ends_with_the_context_even_after_an_error():
    network = seeded_build("k3+k3d2", PROXY, seed=0).eval()
    with pytest.raises(ZeroDivisionError), record_attention(network) as attention:
        raise ZeroDivisionError
    with torch.no_grad():
        network(images(2, 32).float())
    assert attention == {}


def test_a_seed_fixes_the_weights_and_leaves_the_global_generator_alone():
    torch.manual_seed(123)
    before = torch.get_rng_state()
    one = seeded_build("k3+k3d2", PROXY, seed=7).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(5)  # another position of the global generator must not matter
    two = seeded_build("k3+k3d2", PROXY, seed=7).state_dict()
    other = seeded_build("k3+k3d2", PROXY, seed=8).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["stem.0.weight"], other["stem.0.weight"])
    assert not torch.equal(one["stages.0.0.sk.attend.weight"], other["stages.0.0.sk.attend.weight"])


def test_only_the_classifier_has_a_bias_besides_batchnorm():
    network = build("k3+k3d2", PROXY)
    biased = [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d) and module.bias is not None
    ]
    assert biased == ["classifier"]


def test_the_first_fc_is_followed_by_batchnorm_and_relu():
    fc = build("k3+k3d2", PROXY).stages[0][0].sk.fc
    assert [type(module) for module in fc] == [nn.Linear, nn.BatchNorm1d, nn.ReLU]
    assert fc[1].num_features == fc[0].out_features


def test_d_comes_from_the_bottleneck_width_not_from_the_output_width():
    with torch.device("meta"):
        network = build("k3+k3d2")
    fcs = [stage[-1].sk.fc[0] for stage in network.stages]
    assert [(fc.in_features, fc.out_features) for fc in fcs] == [(128, 32), (256, 32), (512, 32), (1024, 64)]


def test_every_branch_has_its_own_kernel_dilation_groups_and_padding():
    with torch.device("meta"):
        network = build("k3+k3d2+k5g64+k1g128")
    for width, stage in zip((128, 256, 512, 1024), network.stages, strict=True):
        for number, unit in enumerate(stage):
            convs = [branch[0] for branch in unit.sk.branches]
            assert [c.kernel_size[0] for c in convs] == [3, 3, 5, 1]
            assert [c.dilation[0] for c in convs] == [1, 2, 1, 1]
            assert [c.groups for c in convs] == [32, 32, 64, 128]
            assert [c.padding[0] for c in convs] == [1, 2, 2, 0]
            assert {(c.in_channels, c.out_channels) for c in convs} == {(width, width)}
            assert {c.stride[0] for c in convs} == {2 if number == 0 and width > 128 else 1}


def test_a_proxy_scales_groups_and_floor_with_its_cardinality():
    sk = build("k3+k5g64/L64", PROXY).stages[1][0].sk
    assert [branch[0].groups for branch in sk.branches] == [8, 16]
    assert sk.fc[0].out_features == 16  # L64 at cardinality 32 is L16 at 8


def test_a_block_that_a_backbone_cannot_hold_is_refused():
    with pytest.raises(UserError, match=r"branch k3g2 cannot be built on 8x4d-1111-s2.*0.5"):
        build("k3g2", PROXY)


@pytest.mark.parametrize(("block", "backbone"), TABLES_3_6_7)
def test_every_published_row_builds_with_the_counted_parameters(block, backbone):
    with torch.device("meta"):
        network = build(block, backbone)
    own = cost(block, backbone)
    statistics = [b for name, b in network.named_buffers() if not name.endswith("num_batches_tracked")]
    assert sum(p.numel() for p in network.parameters()) == own.params
    assert sum(b.numel() for b in statistics) == own.bn_stats


@pytest.mark.parametrize(("backbone", "classes"), [(PROXY, 10), ("sknet26", 1000)])
def test_the_classifier_has_the_backbones_classes_unless_told(backbone, classes):
    with torch.device("meta"):
        assert build("k3", backbone).classifier.out_features == classes == get_backbone(backbone).classes
        assert build("k3", backbone, classes=7).classifier.out_features == 7


def test_an_sk_convolution_and_a_unit_take_notation_as_it_is_written():
    conv = SKConv(1280, "k3+k3d2")
    assert sum(p.numel() for p in conv.parameters()) == 1_234_080  # counted by hand
    assert [branch[0].groups for branch in conv.branches] == [32, 32]
    assert conv.fc[0].out_features == 80
    narrow = SKConv(64, "k3g4+k3d2g4/r4/L4")
    assert narrow(torch.zeros(2, 64, 5, 7)).shape == (2, 64, 5, 7)
    assert narrow.fc[0].out_features == 16
    unit = SKUnit(8, 32, 16, "k3g8+k5g8", stride=2)
    assert unit(torch.zeros(2, 8, 6, 6)).shape == (2, 16, 3, 3)
    own, notation = SKConv(64, parse_block("k3+k3d2")), SKConv(64, "k3+k3d2")
    assert {n: p.shape for n, p in own.named_parameters()} == {
        n: p.shape for n, p in notation.named_parameters()
    }


@pytest.mark.parametrize(
    ("width", "block", "message"),
    [
        (100, "k3g64", "groups 64 must be whole and divide the widths 100; groups that do: 1, 2, 4, 5, 10"),
        (0, "k3", "width 0: must be a whole number of channels from 1 to 65,536"),
        (64, "k3+q", "not of the form kK"),
    ],
)
def test_an_sk_convolution_that_cannot_be_is_refused(width, block, message):
    with pytest.raises(UserError, match=message):
        SKConv(width, block)
