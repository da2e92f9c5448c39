"""A second opinion on cost: fvcore counts the built network."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from skexplore.arch import Architecture, Cost, Resolution
from skexplore.nn.network import build

with warnings.catch_warnings():  # it scripts functions at import, which torch calls deprecated
    warnings.simplefilter("ignore", FutureWarning)
    from fvcore.nn import FlopCountAnalysis
    from fvcore.nn.jit_handles import Handle, conv_flop_jit, generic_activation_jit, linear_flop_jit


def count(network: nn.Module, resolution: Resolution, in_channels: int = 3) -> Cost:
    """Return what fvcore and torch count in ``network`` for one image of ``in_channels``.

    resolution: its side, or (height, width), in pixels.

    macs are fvcore's ``conv`` + ``linear`` (it counts one multiply-add as one flop; its total would add
    BatchNorm). gate_macs and bn_elements are not counted there and are 0.
    """
    with _counting(network):
        sides = (resolution, resolution) if isinstance(resolution, int) else resolution
        image = torch.zeros(1, in_channels, *sides)
        analysis = FlopCountAnalysis(network, image).unsupported_ops_warnings(False)
        # activations in the same pass, since tracing takes most of the time
        analysis.set_op_handle("aten::_convolution", _with_outputs("conv", conv_flop_jit))
        analysis.set_op_handle("aten::linear", _with_outputs("linear", linear_flop_jit))
        counted = analysis.by_operator()
    statistics = [b for name, b in network.named_buffers() if name.endswith(("running_mean", "running_var"))]
    return Cost(
        params=sum(p.numel() for p in network.parameters() if p.requires_grad),
        bn_stats=sum(b.numel() for b in statistics),
        macs=int(counted["conv"] + counted["linear"]),
        activations=int(counted["activations"]),
    )


def _with_outputs(name: str, macs: Handle) -> Handle:
    """Return fvcore's count of an operator's multiply-adds, as ``name``, with its count of the elements it gives."""
    elements = generic_activation_jit("activations")

    def handle(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
        found = macs(inputs, outputs)
        counted: Counter[str] = found if isinstance(found, Counter) else Counter({name: found})
        given: Counter[str] = elements(inputs, outputs)
        return counted + given

    return handle


def macs_by_module(network: nn.Module, size: tuple[int, int], in_channels: int) -> dict[str, int]:
    """Return fvcore's multiply-adds (``conv`` + ``linear``) of every module by its name, for one image."""
    with _counting(network):
        image = torch.zeros(1, in_channels, *size)
        analysis = FlopCountAnalysis(network, image).unsupported_ops_warnings(False)
        counted = analysis.by_module_and_operator()
    return {name: int(found["conv"] + found["linear"]) for name, found in counted.items()}


@contextmanager
def _counting(network: nn.Module) -> Iterator[None]:
    """Put ``network`` into eval mode without gradients, quietly: fvcore warns of each elementwise operator it skips."""
    logging.getLogger("fvcore").setLevel(logging.ERROR)
    training = network.training
    network.eval()
    try:
        with torch.inference_mode(False), torch.no_grad():
            yield
    finally:
        network.train(training)


def differences(
    architecture: Architecture, *, resolution: Resolution | None = None
) -> dict[str, tuple[int, int]]:
    """Build the network and return where closed form and fvcore differ: {quantity: (closed form, counted)}."""
    body = architecture.backbone
    size = body.resolution if resolution is None else resolution
    return differing(architecture.cost(resolution=size), count(build(architecture), size, body.in_channels))


def differing(closed: Cost, counted: Cost) -> dict[str, tuple[int, int]]:
    """Return what fvcore counts and a closed form says otherwise: {quantity: (closed form, counted)}."""
    names = ("params", "bn_stats", "macs", "activations")
    pairs = {name: (getattr(closed, name), getattr(counted, name)) for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
