"""A built network module by module: output shape, params, multiply-adds and receptive field."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import nn

from skexplore.arch import Resolution, whole_size
from skexplore.nn.attention import GateModule
from skexplore.nn.flop_count import macs_by_module
from skexplore.nn.layers import SKConv
from skexplore.nn.network import Network
from skexplore.nn.units import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleRow:
    """One layer for one image: output shape without the batch, trainable params, macs.

    form: kernel, and stride, dilation and groups where they are not 1 (``3x3 s2 d2 g32``); empty for other layers.
    receptive_field: side of the square of input pixels that one output element sees through convolutions and
    pools; None where it sees the whole image.
    """

    name: str
    kind: str
    form: str
    shape: tuple[int, ...]
    params: int
    macs: int
    receptive_field: int | None


@dataclass(frozen=True, slots=True)
class _View:
    """What one element of a map sees: ``side`` pixels of the input; neighbours are ``step`` pixels apart."""

    side: int = 1
    step: int = 1

    def through(self, kernel: int, stride: int, dilation: int) -> _View:
        return _View(self.side + dilation * (kernel - 1) * self.step, self.step * stride)


def summarise_network(network: Network, resolution: Resolution) -> list[ModuleRow]:
    """Return a row for every layer with parameters and every pool, in the order of the forward pass."""
    views, size = receptive_fields(network), whole_size(resolution)
    macs = macs_by_module(network, size, network.in_channels)
    rows: list[ModuleRow] = []
    handles = [
        module.register_forward_hook(_add_row(rows, name, macs[name], views[name]))
        for name, module in network.named_modules()
        if isinstance(
            module, nn.Conv2d | nn.Linear | nn.BatchNorm1d | nn.BatchNorm2d | nn.MaxPool2d | nn.AvgPool2d
        )
    ]
    training = network.training
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, network.in_channels, *size))
    finally:
        network.train(training)
        for handle in handles:
            handle.remove()
    return _once(rows)


def _add_row(rows: list[ModuleRow], name: str, macs: int, view: _View | None) -> Callable[..., None]:
    def hook(module: nn.Module, _inputs: object, output: torch.Tensor) -> None:
        rows.append(
            ModuleRow(
                name=name,
                kind=type(module).__name__,
                form=_form(module),
                shape=tuple(output.shape[1:]),
                params=sum(p.numel() for p in module.parameters() if p.requires_grad),
                macs=macs,
                receptive_field=view.side if view else None,
            )
        )

    return hook


def _form(module: nn.Module) -> str:
    """Return what a convolution or pool is, in a few signs."""
    if not isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        return ""
    kernel, *knobs = (
        _side(getattr(module, key, 1)) for key in ("kernel_size", "stride", "dilation", "groups")
    )
    signs = [f"{sign}{knob}" for sign, knob in zip("sdg", knobs, strict=True) if knob != 1]
    return " ".join([f"{kernel}x{kernel}", *signs])


def _once(rows: list[ModuleRow]) -> list[ModuleRow]:
    """Keep one row of a layer that is used twice (CBAM's MLP); fvcore's macs of it cover both uses."""
    return list({row.name: row for row in reversed(rows)}.values())[::-1]


def receptive_fields(network: Network) -> dict[str, _View | None]:
    """Return what every module of ``network`` sees, by name; None: the whole image."""
    seen: dict[str, _View | None] = {}
    view = _walk(network.stem, "stem", _View(), seen)
    view = _walk(network.stages, "stages", view, seen)
    _walk(network.head, "head", view, seen)
    seen["classifier"] = None
    return seen


def _walk(module: nn.Module, name: str, view: _View, seen: dict[str, _View | None]) -> _View:
    """Record what ``module`` and its parts see when its input has ``view``, and return the view of its output."""
    after = view
    if isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
        kernel, stride, dilation = (
            _side(getattr(module, key, 1)) for key in ("kernel_size", "stride", "dilation")
        )
        after = view.through(kernel, stride, dilation)
    elif isinstance(module, Unit):
        ends = []
        for path in module.paths:
            after = view
            for key in path:
                after = _walk(getattr(module, key), f"{name}.{key}", after, seen)
            ends.append(after)
        widest = replace(ends[0], side=max(end.side for end in ends))
        after = _walk(module.gate, f"{name}.gate", widest, seen)
    elif isinstance(module, SKConv):
        ends = [_walk(one, f"{name}.branches.{i}", view, seen) for i, one in enumerate(module.branches)]
        after = replace(ends[0], side=max(end.side for end in ends))
        _blind(module, name, ("fc", "attend"), seen)
    elif isinstance(module, GateModule):
        _blind(module, name, module.sees_all, seen)
        for key, part in module.named_children():
            if key not in module.sees_all:
                after = _walk(part, f"{name}.{key}", after, seen)
    elif isinstance(module, nn.Sequential):
        for key, part in module.named_children():
            after = _walk(part, f"{name}.{key}", after, seen)
    seen[name] = after
    return after


def _blind(module: nn.Module, name: str, parts: tuple[str, ...], seen: dict[str, _View | None]) -> None:
    """Record the layers behind a global mean, which see the whole image."""
    for part in parts:
        for key, _ in getattr(module, part, nn.Identity()).named_modules(prefix=f"{name}.{part}"):
            seen[key] = None


def _side(value: int | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else value[0]
