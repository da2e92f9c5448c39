"""From an architecture to a network that trains."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skexplore.arch import REFERENCE, Architecture, Backbone, Blocks, Gate, SKBlock
from skexplore.errors import UserError
from skexplore.nn.attention import make_gate
from skexplore.nn.layers import activated, conv_bn
from skexplore.nn.units import make_unit
from skexplore.paper import System, get_system


class Network(nn.Module):
    """Stem, stages of SK units, global mean and linear classifier (Table 1), with attention modules if ``gate``."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        backbone, gate = architecture.backbone, architecture.gate
        self.architecture = architecture
        self.in_channels = backbone.in_channels
        self.stem = _stem(backbone)
        self.stages = nn.Sequential()
        inputs = backbone.stem.width
        for number, (stage, block) in enumerate(zip(backbone.stages, architecture.placed, strict=True)):
            units = nn.Sequential()
            for unit in range(stage.depth):
                stride = stage.stride if unit == 0 else 1
                inside = make_gate(gate, stage.out) if gate and not gate.per_stage else None
                units.append(
                    make_unit(
                        backbone,
                        inputs,
                        stage,
                        block,
                        stride=stride,
                        gate=inside,
                        fuse_norm=architecture.fuse_norm,
                    )
                )
                inputs = stage.out
            if gate and gate.per_stage and gate.count(number, backbone):
                units.append(make_gate(gate, stage.out))
            self.stages.append(units)
        self.head: nn.Module = nn.Identity()
        if backbone.head:
            self.head = activated(conv_bn(inputs, backbone.head, 1), backbone.unit.activation)
        self.classifier = nn.Linear(backbone.features, backbone.classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def __prepare_scriptable__(self) -> Network:
        # torch.jit.script asks for it first
        raise UserError(
            "torch.jit.script cannot read this network; use torch.export.export(network, (images,)) or "
            "torch.jit.trace(network, images)"
        )

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        """Return the logits of a batch of images."""
        features: Tensor = self.head(self.stages(self.stem(x)))
        logits: Tensor = self.classifier(features.mean((2, 3)))
        return logits


def _stem(backbone: Backbone) -> nn.Sequential:
    stem, activation = backbone.stem, backbone.unit.activation
    layers = nn.Sequential()
    inputs, stride = backbone.in_channels, stem.stride
    for outputs in stem.deep:
        layers.append(activated(conv_bn(inputs, outputs, stem.kernel, stride=stride), activation))
        inputs, stride = outputs, 1
    last = activated(conv_bn(inputs, stem.width, stem.kernel, stride=stride), activation)
    layers = layers.append(last) if stem.deep else last
    return layers.append(nn.MaxPool2d(3, 2, 1)) if stem.pool else layers


def build(
    block: str | SKBlock | Blocks | Architecture,
    backbone: str | Backbone = REFERENCE,
    *,
    classes: int | None = None,
    gate: str | Gate | None = None,
    fuse_norm: bool = True,
    in_channels: int | None = None,
) -> Network:
    """Return the network that ``block`` (written at cardinality 32) becomes in ``backbone``, with a ``gate`` if any.

    Without ``fuse_norm`` the fully connected layers of fuse have no BatchNorm. An ``Architecture`` says all of that
    itself.

    Weights of convolutions are drawn as in He et al. 2015 (fan-out), from torch's global generator. The
    network takes (batch, in_channels, height, width), of any height and width, and gives (batch, classes); 3 channels
    by default. Raises ``UserError`` if the backbone cannot hold the block, or for classes that are not 1 to 1,000,000.
    """
    return Network(
        Architecture.of(
            block, backbone, gate=gate, fuse_norm=fuse_norm, classes=classes, in_channels=in_channels
        )
    )


def build_system(system: str | System, *, classes: int | None = None) -> Network:
    """Return the network of the paper called ``system``; raises ``UserError`` for an unknown name."""
    own = get_system(system) if isinstance(system, str) else system
    return Network(own.architecture(classes))


def seeded_build(
    block: str | SKBlock | Blocks | Architecture, backbone: str | Backbone = REFERENCE, *, seed: int
) -> Network:
    """Return ``build`` with weights fixed by ``seed``, without touching the caller's generator."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would reach the GPUs' generators too
        return build(block, backbone)
