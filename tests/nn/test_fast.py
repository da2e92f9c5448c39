"""The fast ways of the layers give what the plain ways give: outputs, gradients and statistics."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings, strategies as st
from support.networks import randomise
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from skexplore.arch.architecture import Architecture
from skexplore.arch.notation import Branch, SKBlock, parse_block
from skexplore.errors import UserError
from skexplore.nn import fast
from skexplore.nn.fast import Fuse, Select, plain_layers, speed_up
from skexplore.nn.layers import SKConv, conv_bn
from skexplore.nn.network import build, seeded_build
from skexplore.nn.units import SKUnit

LAYOUTS = [torch.contiguous_format, torch.channels_last]


@pytest.fixture
def plainly():
    """Run a function with the plain layers, as a tracer sees them."""

    def run(function):
        with plain_layers():
            return function()

    return run


def fast_conv(inputs: int, outputs: int, kernel: int, **how: int) -> nn.Module:
    """Return a convolution that takes the shorter ways."""
    padding = how.get("dilation", 1) * (kernel - 1) // 2
    return speed_up(nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=False, **how))


def results(module: nn.Module, x: Tensor) -> list[Tensor]:
    """Return the output of ``module``, the gradients of input and parameters, and the buffers it leaves."""
    own, images = copy.deepcopy(module), x.detach().requires_grad_()
    out = own(images)
    weight = torch.linspace(-1, 1, out.numel(), dtype=out.dtype).view(out.shape)
    gradients = torch.autograd.grad((out * weight).sum(), [images, *own.parameters()])
    return [out.detach(), *gradients, *(buffer for _, buffer in own.named_buffers())]


def assert_same(own: list[Tensor], plain: list[Tensor]) -> None:
    assert len(own) == len(plain)
    for one, other in zip(own, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    ("kernel", "dilation"), [(1, 1), (1, 2), (3, 1), (3, 2), (3, 3), (3, 4), (5, 2), (5, 4)]
)
@pytest.mark.parametrize("groups", [1, 2, 4, 8, 16])
def test_a_convolution_equals_torchs(kernel, dilation, stride, groups, layout):
    torch.manual_seed(0)
    own = fast_conv(16, 16, kernel, stride=stride, dilation=dilation, groups=groups).double()
    padding = dilation * (kernel - 1) // 2
    plain = nn.Conv2d(16, 16, kernel, stride, padding, dilation, groups, bias=False).double()
    plain.load_state_dict(own.state_dict())
    for shape in ((2, 16, 8, 8), (1, 16, 7, 5), (2, 16, 1, 3)):
        x = torch.randn(shape, dtype=torch.float64).to(memory_format=layout)
        assert_same(results(own, x), results(plain, x))


def test_layouts_and_shapes_that_do_not_merge():
    torch.manual_seed(0)
    for inputs, outputs, groups in ((16, 32, 4), (12, 12, 3), (6, 6, 3)):
        own = fast_conv(inputs, outputs, 3, dilation=2, groups=groups).double()
        plain = nn.Conv2d(inputs, outputs, 3, 1, 2, 2, groups, bias=False).double()
        plain.load_state_dict(own.state_dict())
        x = torch.randn((2, inputs, 6, 6), dtype=torch.float64)
        assert_same(results(own, x), results(plain, x))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dilation", [2, 3, 4])
def test_the_phases_of_a_map_give_it_back(dilation, layout):
    x = torch.randn(2, 3, 7, 5).to(memory_format=layout)
    again = fast._unphased(fast._phases(x, dilation), dilation, x)
    assert torch.equal(again, x)
    assert again.is_contiguous(memory_format=layout)


@pytest.mark.parametrize(
    ("kernel", "stride", "dilation", "groups"), [(3, 1, 2, 4), (3, 2, 2, 2), (1, 2, 1, 1)]
)
def test_gradients_of_a_convolution_are_its_derivatives(kernel, stride, dilation, groups):
    torch.manual_seed(0)
    conv = fast_conv(4, 4, kernel, stride=stride, dilation=dilation, groups=groups).double()
    x = torch.randn((2, 4, 5, 4), dtype=torch.float64).to(memory_format=torch.channels_last)

    def output(images, weight):
        return torch.func.functional_call(conv, {"weight": weight}, images)

    assert torch.autograd.gradcheck(output, (x.requires_grad_(), conv.weight.detach().requires_grad_()))


def test_gradients_of_fuse_and_select_are_their_derivatives():
    torch.manual_seed(0)

    def output(weights, *maps):
        squeezed, *maps = Fuse.apply(*maps)
        return Select.apply(weights * squeezed[:, None], *maps), squeezed

    tensors = [torch.randn((2, 3, 4), dtype=torch.float64)]
    tensors += [torch.randn((2, 4, 3, 2), dtype=torch.float64) for _ in range(3)]
    assert torch.autograd.gradcheck(output, [each.requires_grad_() for each in tensors])


@pytest.mark.parametrize("block", ["k3d2", "k3+k3d2"])
def test_a_second_derivative_is_refused_not_wrong(block):
    torch.manual_seed(0)
    unit = speed_up(randomise(SKUnit(8, 32, 16, parse_block(block))).train())
    x = torch.randn((2, 8, 6, 6), dtype=torch.float64, requires_grad=True)
    with pytest.raises(RuntimeError, match="plain_layers"):
        torch.autograd.grad(unit(x).square().sum(), x, create_graph=True)
    with plain_layers():
        (gradient,) = torch.autograd.grad(unit(x).square().sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(gradient.square().sum(), x)
        step = 1e-6 * torch.randn(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(1))
        moved = (x + step).detach().requires_grad_()
        (ahead,) = torch.autograd.grad(unit(moved).square().sum(), moved)
    expected = 2 * ((ahead - gradient) * gradient).sum()  # of the gradient's square, along the step
    torch.testing.assert_close((second * step).sum(), expected, rtol=1e-3, atol=0)


def test_torch_func_sees_plain_layers():
    network = speed_up(seeded_build("k3+k3d2", "8x4d-1111-s2", seed=0)).double().eval()
    x = torch.randn((2, 3, 16, 16), dtype=torch.float64)

    def loss(own):
        return torch.func.functional_call(network, own, (x,)).square().sum()

    gradients = torch.func.grad(loss)(dict(network.named_parameters()))
    network(x).square().sum().backward()
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-8, atol=1e-10)


def test_torch_fx_sees_plain_layers():
    code = (  # in a process of its own: here shapes are checked, and a proxy has none
        "import torch; from skexplore.nn import seeded_build, speed_up\n"
        "network = speed_up(seeded_build('k3+k3d2', '8x4d-1111-s2', seed=0)).double().eval()\n"
        "x = torch.randn((2, 3, 16, 16), dtype=torch.float64)\n"
        "torch.testing.assert_close(torch.fx.symbolic_trace(network)(x), network(x), rtol=0, atol=1e-10)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_a_changed_conv_bn_runs_as_what_it_became():
    network = speed_up(seeded_build("k3+k3d2", "8x4d-1111-s2", seed=0)).double().eval()
    x = torch.randn((2, 3, 16, 16), dtype=torch.float64)
    before = network(x)
    stem = network.stem
    stem[0] = torch.nn.utils.fusion.fuse_conv_bn_eval(stem[0], stem[1])
    stem[1] = nn.Identity()
    torch.testing.assert_close(network(x), before, rtol=0, atol=1e-10)
    synced = nn.SyncBatchNorm.convert_sync_batchnorm(network).eval()
    torch.testing.assert_close(synced(x), before, rtol=0, atol=1e-10)


small_branches = st.builds(
    Branch,
    kernel=st.sampled_from([1, 3, 5]),
    dilation=st.integers(1, 4),
    groups=st.sampled_from([1, 4, 8, 16]),
)


@settings(max_examples=40)
@given(
    branches=st.lists(small_branches, min_size=1, max_size=4).map(tuple),
    fuse=st.sampled_from(["select", "sum"]),
    stride=st.sampled_from([1, 2]),
    training=st.booleans(),
    side=st.integers(3, 9),
    batch=st.sampled_from([1, 3]),
    layout=st.sampled_from(LAYOUTS),
)
def test_an_sk_convolution_equals_the_plain_one(branches, fuse, stride, training, side, batch, layout):
    torch.manual_seed(3)
    conv = speed_up(
        randomise(SKConv(16, SKBlock(branches=branches, reduction=4, min_dim=1, fuse=fuse), stride=stride))
    )
    conv.train(training)
    x = torch.randn((batch + training, 16, side, side), dtype=torch.float64).to(memory_format=layout)
    with plain_layers():
        plain = results(conv, x)
    own = results(conv, x)
    assert_same(own, plain)
    with torch.no_grad():  # branches' maps are written over here
        torch.testing.assert_close(conv.eval()(x), conv(x), rtol=0, atol=0)
        if not training:
            torch.testing.assert_close(conv(x), plain[0], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("stride", [1, 2])
def test_a_unit_equals_the_plain_one(plainly, training, stride):
    torch.manual_seed(0)
    unit = speed_up(
        randomise(SKUnit(32, 16, 32, parse_block("k3g4+k3d2g4+k5g8/r4/L1"), stride=stride)).train(training)
    )
    x = torch.randn((3, 32, 9, 9), dtype=torch.float64).to(memory_format=torch.channels_last)
    assert_same(results(unit, x), plainly(lambda: results(unit, x)))


def test_statistics_frozen_in_training_are_used(plainly):
    torch.manual_seed(0)
    layer = speed_up(randomise(conv_bn(8, 8, 3, groups=4))).train()
    layer[1].eval()
    x = torch.randn((2, 8, 5, 5), dtype=torch.float64)
    assert_same(results(layer, x), plainly(lambda: results(layer, x)))


def three_steps(threads: int) -> dict[str, Tensor]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    network = speed_up(seeded_build("k3+k3d2+k5g64", "8x4d-1111-s2", seed=0)).to(
        memory_format=torch.channels_last
    )
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        x = torch.randn((16, 3, 32, 32), generator=generator).to(memory_format=torch.channels_last)
        optimizer.zero_grad()
        network(x).square().mean().backward()
        optimizer.step()
    torch.set_num_threads(before)
    return network.state_dict()


def test_training_gives_the_same_numbers_again():
    one, two = three_steps(1), three_steps(1)
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_a_traced_network_is_plain_and_gives_the_same():
    network = speed_up(seeded_build("k3+k3d2", "8x4d-1111-s2", seed=0)).double().eval()
    x = torch.randn((2, 3, 32, 32), dtype=torch.float64)
    with torch.no_grad():
        expected = network(x)
        exported = torch.export.export(network, (x,)).module()
        torch.testing.assert_close(exported(x), expected, rtol=1e-9, atol=1e-9)
    graph = torch.export.export(network, (x,)).graph
    names = [str(node.target) for node in graph.nodes if node.op == "call_function"]
    convolutions = sum("conv2d" in name for name in names)
    assert convolutions == sum(isinstance(module, nn.Conv2d) for module in network.modules())


def test_half_precision_runs_and_is_near():
    network = speed_up(seeded_build("k3+k3d2", "8x4d-1111-s2", seed=0))
    x = torch.randn((4, 3, 32, 32))
    for training in (False, True):
        network.train(training)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            half = network(x)
            if training:
                half.float().square().mean().backward()
            else:
                with torch.inference_mode():
                    network(x)
        torch.testing.assert_close(half.float(), network(x), rtol=0.2, atol=0.2)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("block", ["k3", "k3+k3d2", "k3+k3d2/sum"])
def test_hooks_in_eval_mode_see_the_true_output_of_every_layer(block):
    unit = speed_up(randomise(SKUnit(64, 64, 64, parse_block(block))))
    x = torch.randn((2, 64, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with torch.no_grad():
        bare = unit(x)
    seen: dict[str, Tensor] = {}
    handles = [
        module.register_forward_hook(lambda _m, _i, out, name=name: seen.update({name: out}))
        for name, module in unit.named_modules()
        if isinstance(module, nn.Conv2d | nn.BatchNorm2d)
    ]
    with torch.no_grad():
        torch.testing.assert_close(unit(x), bare, rtol=0, atol=1e-12)
    for handle in handles:
        handle.remove()
    first = nn.Conv2d.forward(unit.sk.branches[0][0], unit.reduce(x))
    torch.testing.assert_close(seen["sk.branches.0.0"], first, rtol=0, atol=1e-12)
    normed = unit.sk.branches[0][1](first)
    torch.testing.assert_close(seen["sk.branches.0.1"].clamp(min=0), normed.clamp(min=0), rtol=0, atol=1e-12)
    assert {"reduce.0", "expand.0", "expand.1"} <= set(seen)


def test_backward_hooks_and_hooks_on_all_modules_are_called_in_eval_mode():
    unit = speed_up(randomise(SKUnit(64, 64, 64, parse_block("k3+k3d2"))))
    x = torch.randn((2, 64, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    hits = []
    handle = unit.expand[0].register_full_backward_hook(lambda *_: hits.append("backward"))
    unit(x).sum().backward()
    handle.remove()
    assert hits == ["backward"]
    kept = {}
    handle = nn.modules.module.register_module_forward_hook(lambda m, _, out: kept.setdefault(m, out))
    with torch.no_grad():
        unit(x)
        handle.remove()
        torch.testing.assert_close(kept[unit.sk.branches[0]], unit.sk.branches[0](unit.reduce(x)))
    assert unit.expand[0] in kept
    assert unit.expand[1] in kept


EXACT = {nn.Conv2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.Linear, nn.ReLU, nn.MaxPool2d, nn.Identity}


@pytest.mark.parametrize("fast_too", [False, True])
def test_layers_are_exactly_torchs_for_all_who_look_at_types(fast_too):
    network = build("k3+k3d2", "sknet26")
    if fast_too:
        speed_up(network)
    leaves = [module for module in network.modules() if not list(module.children())]
    assert {type(module) for module in leaves} <= EXACT
    # so that a tool that replaces layers by their type finds every convolution
    torch.ao.quantization.propagate_qconfig_(network, {nn.Conv2d: torch.ao.quantization.default_qconfig})
    found = [module for module in leaves if getattr(module, "qconfig", None)]
    assert len(found) == sum(isinstance(module, nn.Conv2d) for module in leaves) > 20


@pytest.mark.parametrize("training", [True, False])
def test_a_counter_of_dispatched_operators_sees_the_true_count(training):
    own = Architecture.of("k3+k3d2+k5g64", "8x4d-1111-s2")
    network = build(own).train(training)
    with FlopCounterMode(display=False) as counter:
        network(torch.zeros(2, 3, 32, 32))
    assert counter.get_total_flops() == 2 * 2 * own.cost().macs


def test_what_is_sped_up_can_be_copied_and_pickled():
    network = speed_up(seeded_build("k3+k3d2", "8x4d-1111-s2", seed=0)).double().eval()
    x = torch.randn((2, 3, 16, 16), dtype=torch.float64)
    before = network(x)
    for other in (copy.deepcopy(network), pickle.loads(pickle.dumps(network))):
        with torch.no_grad():
            network.stem[0].weight.mul_(2)  # not the copy's
        torch.testing.assert_close(other(x), before, rtol=0, atol=1e-12)
        with torch.no_grad():
            network.stem[0].weight.div_(2)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")  # torch gives scripting up
def test_scripting_says_what_to_use():
    network = build("k3+k3d2", "8x4d-1111-s2").eval()
    with pytest.raises(UserError, match=r"torch\.jit\.trace\(network, images\)"):
        torch.jit.script(network)
    code = (  # what it says works; in a process of its own, since shapes are checked here
        "import torch; from skexplore.nn import seeded_build\n"
        "network = seeded_build('k3+k3d2', '8x4d-1111-s2', seed=0).eval()\n"
        "x = torch.randn(2, 3, 32, 32)\n"
        "torch.testing.assert_close(torch.jit.trace(network, x)(x), network(x))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, capture_output=True)
