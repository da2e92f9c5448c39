"""The attention modules that Table 2 compares with, as data and in closed form: SE, CBAM and BAM.

Papers: Squeeze-and-Excitation (Hu et al., CVPR 2018), CBAM (Woo et al., ECCV 2018), BAM (Park et al., BMVC
2018). SE and CBAM gate the output of every unit before the shortcut is added, BAM the output of every stage
but the last.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from skexplore.arch.backbones import Backbone
from skexplore.arch.costs import Cost, cost, output_sizes
from skexplore.arch.notation import Blocks, SKBlock
from skexplore.errors import UserError

KINDS = ("se", "cbam", "bam")
NO_GATE = "none"
_REDUCTION = re.compile(r"r([0-9]{1,4})")
CBAM_KERNEL = 7  # of the spatial gate's convolution (CBAM, section 3.2)
BAM_DILATION = 4  # of the spatial gate's 3x3 convolutions (BAM, section 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """An attention module of ``kind`` ``se``, ``cbam`` or ``bam``; linear layers have a bias.

    reduction: channels over hidden channels. batch_norm: a BatchNorm after each linear layer of SE (one
    reading of how SENet was built; not in its paper).
    """

    kind: str
    reduction: int = 16
    batch_norm: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise UserError(f"gate {self.kind!r}: must be {', '.join(KINDS)}")
        if self.reduction < 1:
            raise UserError(f"gate {self.kind}: reduction {self.reduction} must be at least 1")

    def hidden(self, channels: int) -> int:
        """Channels between the two linear layers."""
        return max(channels // self.reduction, 1)

    def count(self, stage: int, backbone: Backbone) -> int:
        """Return how many of these modules stand in stage number ``stage``, counted from 0."""
        if self.kind == "bam":
            return int(stage < len(backbone.stages) - 1)
        return backbone.stages[stage].depth


def parse_gate(text: str) -> Gate | None:
    """Return the gate written as ``KIND[/rN][/bn]``, such as ``se`` or ``se/r4/bn``; None for empty and ``none``.

    Raises ``UserError``.
    """
    if text in ("", NO_GATE):
        return None
    kind, *knobs = text.split("/")
    found: dict[str, int | bool] = {}
    for knob in knobs:
        match = _REDUCTION.fullmatch(knob)
        name = "reduction" if match else "batch_norm" if knob == "bn" and kind == "se" else ""
        if not name or name in found:
            raise UserError(f"gate {text!r}: expected {', '.join(KINDS)} or none, with /rN, and /bn for se")
        found[name] = int(match[1]) if match else True
    return Gate(kind=kind, **found)  # type: ignore[arg-type]


def format_gate(gate: Gate | None) -> str:
    """Return the notation that ``parse_gate`` reads, empty for no gate."""
    if gate is None:
        return ""
    reduction = f"/r{gate.reduction}" if gate.reduction != Gate(kind=gate.kind).reduction else ""
    return f"{gate.kind}{reduction}{'/bn' if gate.batch_norm else ''}"


def gate_cost(gate: Gate, channels: int, size: int) -> Cost:
    """Cost of one module on a map of ``channels`` x ``size`` x ``size``."""
    hidden, pixels = gate.hidden(channels), size * size
    mlp = 2 * channels * hidden  # weights of the two linear layers, without the biases
    biases = hidden + channels
    if gate.kind == "se":
        normed = biases if gate.batch_norm else 0
        return Cost(
            params=mlp + biases + 2 * normed,
            bn_stats=2 * normed,
            macs=mlp,
            gate_macs=channels * pixels,
            activations=biases,
            bn_elements=normed,
        )
    if gate.kind == "cbam":
        kernel = 2 * CBAM_KERNEL**2
        return Cost(
            params=mlp + biases + kernel + 2,
            bn_stats=2,
            macs=2 * mlp + kernel * pixels,  # one MLP, used on the mean and on the maximum
            gate_macs=2 * channels * pixels,  # the channel gate, then the spatial gate
            activations=2 * biases + pixels,
            bn_elements=pixels,
        )
    convolutions = channels * hidden + 2 * 9 * hidden**2 + hidden
    return Cost(
        params=mlp + biases + 2 * hidden + convolutions + 3 * hidden + 1 + 3 * 2 * hidden,
        bn_stats=2 * hidden + 3 * 2 * hidden,
        macs=mlp + convolutions * pixels,
        gate_macs=channels * pixels,
        activations=biases + (3 * hidden + 1) * pixels,
        bn_elements=hidden + 3 * hidden * pixels,
    )


def gate_costs(gate: Gate, backbone: Backbone, resolution: int | None = None) -> tuple[Cost, ...]:
    """Cost of all modules of each stage of ``backbone``, for one image."""
    sizes = output_sizes(backbone, resolution)
    return tuple(
        gate_cost(gate, stage.out, size) * gate.count(number, backbone)
        for number, (stage, size) in enumerate(zip(backbone.stages, sizes, strict=True))
    )


def gated_cost(
    block: str | SKBlock | Blocks,
    backbone: Backbone,
    gate: Gate | None,
    *,
    resolution: int | None = None,
    classes: int | None = None,
) -> Cost:
    """Return ``cost`` of ``block`` in ``backbone`` with the modules of ``gate``, if any, for one image."""
    total = cost(block, backbone, resolution=resolution, classes=classes)
    return sum(gate_costs(gate, backbone, resolution), total) if gate else total
