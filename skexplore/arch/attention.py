"""The attention modules that Table 2 compares with, as data and in closed form: SE, CBAM and BAM.

Papers: Squeeze-and-Excitation (Hu et al., CVPR 2018), CBAM (Woo et al., ECCV 2018), BAM (Park et al., BMVC
2018). SE and CBAM gate the output of every unit before the shortcut is added, BAM the output of every stage
but the last.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from skexplore.arch.backbone import Backbone, Resolution
from skexplore.arch.formulas import Cost
from skexplore.errors import UserError, check_one_of

NO_GATE = "none"
_REDUCTION = re.compile(r"r([0-9]{1,4})")
CBAM_KERNEL = 7  # of the spatial gate's convolution (CBAM, section 3.2)
BAM_DILATION = 4  # of the spatial gate's 3x3 convolutions (BAM, section 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """An attention module of a ``kind`` of ``GATES``; linear layers have a bias.

    reduction: channels over hidden channels. batch_norm: a BatchNorm after each linear layer of SE (one
    reading of how SENet was built; not in its paper).
    """

    kind: str
    reduction: int = 16
    batch_norm: bool = False

    def __post_init__(self) -> None:
        check_one_of("gate", self.kind, GATES)
        if self.reduction < 1:
            raise UserError(f"gate {self.kind}: reduction {self.reduction} must be at least 1")

    @property
    def per_stage(self) -> bool:
        """Whether it gates the output of a stage, not of every unit."""
        return GATES[self.kind].per_stage

    def hidden(self, channels: int) -> int:
        """Channels between the two linear layers."""
        return max(channels // self.reduction, 1)

    def count(self, stage: int, backbone: Backbone) -> int:
        """Return how many of these modules stand in stage number ``stage``, counted from 0."""
        if self.per_stage:
            return int(stage < len(backbone.stages) - 1)
        return backbone.stages[stage].depth


def parse_gate(text: str) -> Gate | None:
    """Return the gate written as ``KIND[/rN][/bn]``, such as ``se`` or ``se/r4/bn``; None for empty and ``none``.

    Raises ``UserError``.
    """
    if text in ("", NO_GATE):
        return None
    kind, *knobs = text.split("/")
    normed = [name for name, known in GATES.items() if known.batch_norm]
    found: dict[str, int | bool] = {}
    for knob in knobs:
        match = _REDUCTION.fullmatch(knob)
        name = "reduction" if match else "batch_norm" if knob == "bn" and kind in normed else ""
        if not name or name in found:
            raise UserError(
                f"gate {text!r}: expected {', '.join(GATES)} or none, with /rN, and /bn for {' or '.join(normed)}"
            )
        found[name] = int(match[1]) if match else True
    return Gate(kind=kind, **found)  # type: ignore[arg-type]


def format_gate(gate: Gate | None) -> str:
    """Return the notation that ``parse_gate`` reads, empty for no gate."""
    if gate is None:
        return ""
    reduction = f"/r{gate.reduction}" if gate.reduction != Gate(kind=gate.kind).reduction else ""
    return f"{gate.kind}{reduction}{'/bn' if gate.batch_norm else ''}"


def _se_cost(gate: Gate, channels: int, pixels: int) -> Cost:
    weights, biases = _mlp(gate, channels)
    normed = biases if gate.batch_norm else 0
    return Cost(
        params=weights + biases + 2 * normed,
        bn_stats=2 * normed,
        macs=weights,
        gate_macs=channels * pixels,
        activations=biases,
        bn_elements=normed,
    )


def _cbam_cost(gate: Gate, channels: int, pixels: int) -> Cost:
    weights, biases = _mlp(gate, channels)
    kernel = 2 * CBAM_KERNEL**2
    return Cost(
        params=weights + biases + kernel + 2,
        bn_stats=2,
        macs=2 * weights + kernel * pixels,  # one MLP, used on the mean and on the maximum
        gate_macs=2 * channels * pixels,  # the channel gate, then the spatial gate
        activations=2 * biases + pixels,
        bn_elements=pixels,
    )


def _bam_cost(gate: Gate, channels: int, pixels: int) -> Cost:
    weights, biases = _mlp(gate, channels)
    hidden = gate.hidden(channels)
    convolutions = channels * hidden + 2 * 9 * hidden**2 + hidden
    return Cost(
        params=weights + biases + 2 * hidden + convolutions + 3 * hidden + 1 + 3 * 2 * hidden,
        bn_stats=2 * hidden + 3 * 2 * hidden,
        macs=weights + convolutions * pixels,
        gate_macs=channels * pixels,
        activations=biases + (3 * hidden + 1) * pixels,
        bn_elements=hidden + 3 * hidden * pixels,
    )


def _mlp(gate: Gate, channels: int) -> tuple[int, int]:
    """Return the weights and the biases of the two linear layers."""
    hidden = gate.hidden(channels)
    return 2 * channels * hidden, hidden + channels


@dataclass(frozen=True, slots=True, kw_only=True)
class GateKind:
    """One kind of gate.

    make: where its module is (``module:class``, loaded when a network is built): a ``GateModule``, called with
    channels and gate. cost: of one module, from the gate, the channels and the pixels of its map. per_stage: it
    stands behind every stage but the last, not in every unit. batch_norm: ``/bn`` may be written.
    """

    make: str
    cost: Callable[[Gate, int, int], Cost]
    per_stage: bool = False
    batch_norm: bool = False


GATES: dict[str, GateKind] = {
    "se": GateKind(make="skexplore.nn.attention:SE", cost=_se_cost, batch_norm=True),
    "cbam": GateKind(make="skexplore.nn.attention:CBAM", cost=_cbam_cost),
    "bam": GateKind(make="skexplore.nn.attention:BAM", cost=_bam_cost, per_stage=True),
}


def gate_costs(gate: Gate, backbone: Backbone, resolution: Resolution | None = None) -> tuple[Cost, ...]:
    """Cost of all modules of each stage of ``backbone``, for one image."""
    stages = zip(backbone.stages, backbone.parts(resolution), strict=True)
    return tuple(
        GATES[gate.kind].cost(gate, stage.out, part.size[0] * part.size[1]) * gate.count(number, backbone)
        for number, (stage, part) in enumerate(stages)
    )
