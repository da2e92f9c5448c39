"""Exact rewrites of what a CPU library runs slowly, and fuse and select (paper, Eqs. 1-6) without wasted maps.

All of them give what the plain layers give, up to rounding. Convolutions are plain until ``speed_up`` is asked for.
They stand back while a network is traced, exported, compiled or transformed (fvcore, ONNX, ``torch.fx``,
``torch.func``), inside ``plain_layers()``, and where someone has hooked a layer. A second derivative needs
``plain_layers()``; without it an error says so.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any, TypeGuard, TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional as F

MapIn = Float[Tensor, "batch channels_in height width"]
MapOut = Float[Tensor, "batch channels_out height_out width_out"]
N = TypeVar("N", bound=nn.Module)
VECTOR = 8  # float32 lanes of AVX2: the fast kernels of a grouped convolution want as many channels per group


_PLAIN: ContextVar[bool] = ContextVar("plain", default=False)


@contextmanager
def plain_layers() -> Iterator[None]:
    """Run plain torch layers within, for second derivatives or to compare."""
    token = _PLAIN.set(True)
    try:
        yield
    finally:
        _PLAIN.reset(token)


def traced(x: Tensor) -> bool:
    """Return whether plain layers are to run on ``x``: someone reads the graph, or has asked for them."""
    if _PLAIN.get() or not isinstance(x, Tensor):  # torch.fx sends proxies through
        return True
    transformed = torch._C._functorch.maybe_current_level() is not None
    return transformed or torch._C._get_tracing_state() is not None or torch.compiler.is_compiling()


def _rewrites(x: Tensor) -> bool:
    return not traced(x) and x.device.type == "cpu" and not torch.is_autocast_enabled("cpu")


_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_GLOBAL_HOOKS = tuple(f"_global{name}" for name in _HOOKS)


def watched(module: nn.Module) -> bool:
    """Return whether someone has put a hook on ``module``, a part of it or all modules, and so wants true outputs."""
    if any(getattr(torch.nn.modules.module, name) for name in _GLOBAL_HOOKS):
        return True
    return any(getattr(part, name) for part in module.modules() for name in _HOOKS)


def _first_derivative_only() -> None:
    """Refuse to be differentiated twice: the backward passes below are no graph that autograd could follow."""
    if torch.is_grad_enabled():  # autograd's create_graph=True
        raise RuntimeError(
            "no second derivative here: run the network inside skexplore.nn.fast.plain_layers()"
        )


class ConvBN(nn.Sequential):
    """A 'same'-padded convolution without bias, its BatchNorm and what follows."""


def speed_up(network: N) -> N:
    """Let convolutions of ``network`` take shorter ways to the same results on a CPU, and return it.

    Its modules stay what they are, for all who look at their types; those who count dispatched operators see the
    shorter ways, and ``plain_layers()`` makes all stand back. In eval mode a convolution and its BatchNorm run as one,
    unless one of them has a hook to be called.
    """
    for module in network.modules():
        if isinstance(module, ConvBN):
            module.forward = partial(_run_conv_bn, module)  # type: ignore[method-assign]
        elif _rewritable(module):
            module.forward = partial(_run_conv, module)  # type: ignore[method-assign]
    return network


def _rewritable(module: nn.Module) -> TypeGuard[nn.Conv2d]:
    """Return whether this is a square, 'same'-padded convolution without bias."""
    if type(module) is not nn.Conv2d or module.bias is not None or module.padding_mode != "zeros":
        return False
    (kernel, across), (dilation, _), (stride, _) = module.kernel_size, module.dilation, module.stride
    square = kernel == across and (dilation, stride) == (module.dilation[1], module.stride[1])
    return square and module.padding == (dilation * (kernel - 1) // 2,) * 2


def _run_conv(conv: nn.Conv2d, x: MapIn) -> MapOut:
    return _conv(x, conv.weight, None, conv) if _rewrites(x) else nn.Conv2d.forward(conv, x)


def _run_conv_bn(layers: ConvBN, x: MapIn) -> MapOut:
    conv, norm, *rest = layers
    if not (_rewrites(x) and _foldable(conv, norm)) or watched(conv) or watched(norm):
        plain: Tensor = nn.Sequential.forward(layers, x)  # type: ignore[no-untyped-call]
        return plain
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    weight, bias = conv.weight * scale[:, None, None, None], norm.bias - norm.running_mean * scale
    y = _conv(x, weight, bias, conv)
    for module in rest:
        y = module(y)
    return y


def _foldable(conv: nn.Module, norm: nn.Module) -> bool:
    """Return whether these are still the layers that ``conv_bn`` made, and in eval mode."""
    if not _rewritable(conv) or type(norm) is not nn.BatchNorm2d or norm.training:
        return False
    return norm.affine and norm.running_var is not None and norm.running_mean is not None


def _conv(x: Tensor, weight: Tensor, bias: Tensor | None, conv: nn.Conv2d) -> Tensor:
    """Return the convolution of ``x`` that ``conv`` is, with this weight and bias, by the shortest way known."""
    kernel, stride, dilation, groups = weight.shape[2], conv.stride[0], conv.dilation[0], conv.groups
    if stride > 1 and (kernel == 1 or dilation % stride == 0):  # it sees every stride-th pixel alone
        x = _Subsample.apply(x, stride)
        stride, dilation = 1, max(dilation // stride, 1)
    weight, groups = _merged(weight, groups)
    if stride == 1 < min(kernel, dilation) and bias is None and torch.is_grad_enabled():
        dilated: Tensor = _Dilated.apply(x, weight, dilation, groups)
        return dilated
    return F.conv2d(x, weight, bias, stride, dilation * (kernel - 1) // 2, dilation, groups)


def _layout(x: Tensor) -> torch.memory_format:
    last = x.is_contiguous(memory_format=torch.channels_last)
    return torch.channels_last if last else torch.contiguous_format


def _merged(weight: Tensor, groups: int) -> tuple[Tensor, int]:
    """Return ``weight`` for fewer groups, with zeros between the old ones, if groups are narrower than a vector.

    More multiply-adds, but those of a fast kernel. A depthwise convolution has a fast kernel of its own. A map with
    an infinity spoils the groups beside it too (0 * inf): such a network is lost already.
    """
    outputs, inputs, *kernel = weight.shape
    merge = VECTOR // inputs
    if inputs == 1 or merge < 2 or groups % merge or outputs != inputs * groups:
        return weight, groups
    diagonal = torch.eye(merge, dtype=weight.dtype).view(1, merge, 1, merge, 1, 1, 1)
    blocks = weight.view(groups // merge, merge, inputs, 1, inputs, *kernel) * diagonal
    return blocks.reshape(outputs, merge * inputs, *kernel), groups // merge


class _Subsample(Function):
    """Every ``stride``-th pixel; its gradient keeps the layout of the map, which that of slicing does not."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, stride: int) -> Tensor:
        ctx.shape, ctx.layout, ctx.stride = x.shape, _layout(x), stride
        return x[:, :, ::stride, ::stride].contiguous(memory_format=ctx.layout)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        _first_derivative_only()
        full = torch.empty(ctx.shape, dtype=gradient.dtype, memory_format=ctx.layout).zero_()
        full[:, :, :: ctx.stride, :: ctx.stride] = gradient
        return full, None


class _Dilated(Function):
    """A dilated convolution of stride 1 whose backward is that of an undilated one.

    Pixels a multiple of ``dilation`` apart see only each other: each of the dilation^2 phases of the map is an
    image of its own, and on those the convolution has no dilation.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, dilation: int, groups: int) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.dilation, ctx.groups = dilation, groups
        return F.conv2d(x, weight, None, 1, dilation * (weight.shape[2] - 1) // 2, dilation, groups)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        _first_derivative_only()
        x, weight = ctx.saved_tensors
        padding = weight.shape[2] // 2
        inputs, weights, _ = torch.ops.aten.convolution_backward(
            _phases(gradient, ctx.dilation),
            _phases(x, ctx.dilation),
            weight,
            None,
            [1, 1],
            [padding, padding],
            [1, 1],
            False,
            [0, 0],
            ctx.groups,
            [*ctx.needs_input_grad[:2], False],
        )
        if inputs is not None:
            inputs = _unphased(inputs, ctx.dilation, x)
        return inputs, weights, None, None


def _phases(x: Tensor, step: int) -> Tensor:
    """Return the step^2 phases of ``x`` as images: (step^2 * batch, channels, height / step, width / step)."""
    below, right = -x.shape[2] % step, -x.shape[3] % step
    if below or right:  # zeros, as those of the padding
        x = F.pad(x, (0, right, 0, below))
    batch, channels, height, width = x.shape
    parts = x.permute(0, 2, 3, 1).reshape(batch, height // step, step, width // step, step, channels)
    images = parts.permute(2, 4, 0, 1, 3, 5).reshape(-1, height // step, width // step, channels)
    return images.permute(0, 3, 1, 2)


def _unphased(images: Tensor, step: int, like: Tensor) -> Tensor:
    """Return the map whose ``_phases`` are ``images``, of the shape and layout of ``like``."""
    _, channels, height, width = images.shape
    parts = images.permute(0, 2, 3, 1).reshape(step, step, -1, height, width, channels)
    x = parts.permute(2, 3, 0, 4, 1, 5).reshape(-1, height * step, width * step, channels).permute(0, 3, 1, 2)
    return x[:, :, : like.shape[2], : like.shape[3]].contiguous(memory_format=_layout(like))


class Fuse(Function):
    """The mean of U (Eqs. 1 and 2) from the branches' maps, without U; and the maps, for ``Select``.

    The maps pass through so that their gradient from the mean is added where that of ``Select`` already is.
    """

    @staticmethod
    def forward(ctx: Any, *maps: Tensor) -> tuple[Tensor, ...]:
        """Return the sum of the maps' means, (batch, channels), and the maps, (batch, channels, height, width)."""
        ctx.pixels = maps[0].shape[2] * maps[0].shape[3]
        squeezed = maps[0].mean((2, 3))
        for each in maps[1:]:
            squeezed = squeezed + each.mean((2, 3))
        return (squeezed, *(each.view_as(each) for each in maps))

    @staticmethod
    def backward(ctx: Any, squeezed: Tensor, *maps: Tensor) -> tuple[Tensor, ...]:
        """Return the gradients of the maps."""
        _first_derivative_only()
        share = (squeezed / ctx.pixels)[:, :, None, None]
        return tuple(each.add_(share) for each in maps)  # in place: nobody but Select made them


class Select(Function):
    """V of Eq. 6 from the weights (batch, branches, channels) and the branches' maps."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, *maps: Tensor) -> Tensor:
        """Return the weighted sum of the maps, (batch, channels, height, width)."""
        ctx.save_for_backward(weights, *maps)
        total = maps[0] * weights[:, 0, :, None, None]
        for number, each in enumerate(maps[1:], start=1):
            total.addcmul_(each, weights[:, number, :, None, None])
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        """Return the gradients of the weights and of the maps: one new map for each branch, used twice."""
        _first_derivative_only()
        weights, *maps = ctx.saved_tensors
        to_weights, to_maps = [], []
        for number, each in enumerate(maps):
            buffer = gradient * each
            to_weights.append(buffer.sum((2, 3)))
            to_maps.append(torch.mul(gradient, weights[:, number, :, None, None], out=buffer))
        return (torch.stack(to_weights, dim=1), *to_maps)
