"""The networks of the SKNet paper by name, each put together from shared parts, with exact costs.

One definition for each name, never tuned to fit the printed numbers; where the paper allows another reading,
that reading is a system of its own with ``alternative_to``.
"""

from __future__ import annotations

from dataclasses import dataclass

from skexplore.arch import Architecture, Cost, Gate, Resolution
from skexplore.errors import lookup


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """A named network: ``block`` (notation at cardinality 32) in ``backbone``, with an attention ``gate`` if any.

    title: what the paper calls it. alternative_to: the system of which this is another reading. why: what
    the reading rests on.
    """

    title: str
    block: str
    backbone: str
    gate: Gate | None = None
    alternative_to: str = ""
    why: str = ""

    def architecture(self, classes: int | None = None, in_channels: int | None = None) -> Architecture:
        """Return the network itself; ``classes`` and ``in_channels`` default to its backbone's."""
        return Architecture.of(
            self.block, self.backbone, gate=self.gate, classes=classes, in_channels=in_channels
        )

    @property
    def definition(self) -> str:
        """What is built, in one line."""
        gate = self.gate
        if gate is None:
            return f"{self.block} in {self.backbone}"
        norm = ", BatchNorm after both fc" if gate.batch_norm else ""
        return f"{self.block} in {self.backbone} + {gate.kind.upper()} (r {gate.reduction}{norm})"


_SE, _CBAM, _BAM = Gate(kind="se"), Gate(kind="cbam"), Gate(kind="bam")
_SE4 = Gate(kind="se", reduction=4)
_LIGHT = "k3+k3d2/r4/L1"  # of Table 4 (supplement A); depthwise branches end without a ReLU there
_SK29 = "k3+k1/r32"  # SK[2, 16, 32] with a second branch of 1x1 (section 4.2)

SYSTEMS: dict[str, System] = {
    "resnext50": System(title="ResNeXt-50 (32x4d)", block="k3", backbone="sknet50"),
    "resnext50-bam": System(title="ResNeXt-50 + BAM", block="k3", backbone="sknet50", gate=_BAM),
    "resnext50-cbam": System(title="ResNeXt-50 + CBAM", block="k3", backbone="sknet50", gate=_CBAM),
    "resnext50-wider": System(
        title="ResNeXt-50, wider",
        block="k3",
        backbone="sknet50-wider",
        why="17/16 on inner and outer widths, cardinality 34, stem of 64",
    ),
    "resnext56": System(
        title="ResNeXt-56, deeper",
        block="k3",
        backbone="sknet50-deeper",
        why="the two extra blocks stand in conv4; in conv5 the params would be 34.0M",
    ),
    "resnext56-conv5": System(
        title="ResNeXt-56, deeper",
        block="k3",
        backbone="sknet50-deeper-conv5",
        alternative_to="resnext56",
        why="the two extra blocks in conv5, the last stage",
    ),
    "resnext50-36x4d": System(
        title="ResNeXt-50 (36x4d)", block="k3", backbone="sknet50-36x4d", why="outer widths unchanged"
    ),
    "resnext101": System(title="ResNeXt-101 (32x4d)", block="k3", backbone="sknet101"),
    "resnext101-bam": System(title="ResNeXt-101 + BAM", block="k3", backbone="sknet101", gate=_BAM),
    "resnext101-cbam": System(title="ResNeXt-101 + CBAM", block="k3", backbone="sknet101", gate=_CBAM),
    "senet50": System(title="SENet-50", block="k3", backbone="sknet50", gate=_SE),
    "senet50-bn": System(
        title="SENet-50",
        block="k3",
        backbone="sknet50",
        gate=Gate(kind="se", batch_norm=True),
        alternative_to="senet50",
        why="a BatchNorm after both fc",
    ),
    "senet101": System(title="SENet-101", block="k3", backbone="sknet101", gate=_SE),
    "senet101-bn": System(
        title="SENet-101",
        block="k3",
        backbone="sknet101",
        gate=Gate(kind="se", batch_norm=True),
        alternative_to="senet101",
        why="a BatchNorm after both fc",
    ),
    "sknet26": System(title="SKNet-26", block="k3+k3d2", backbone="sknet26"),
    "sknet50": System(title="SKNet-50", block="k3+k3d2", backbone="sknet50"),
    "sknet101": System(title="SKNet-101", block="k3+k3d2", backbone="sknet101"),
    "sknet101-released": System(
        title="SKNet-101",
        block="k3+k3d2;k3+k3d2/L16;k3+k3d2;k3+k3d2",
        backbone="sknet101",
        alternative_to="sknet101",
        why="the released weights have d = 16 in conv3, against the rule of Eq. 4",
    ),
    # Table 6: the second branch beside k3
    "sknet50-k3+k3": System(title="3x3 D1 G32", block="k3+k3", backbone="sknet50"),
    "sknet50-k3+k5g64": System(title="5x5 D1 G64", block="k3+k5g64", backbone="sknet50"),
    "sknet50-k3+k7g128": System(title="7x7 D1 G128", block="k3+k7g128", backbone="sknet50"),
    # Table 7: K3 = k3, K5 = k3d2, K7 = k3d3 (resnext50 and sknet50 are two of its rows)
    "resnext50-k3d2": System(title="K5", block="k3d2", backbone="sknet50"),
    "resnext50-k3d3": System(title="K7", block="k3d3", backbone="sknet50"),
    "sknet50-k3+k3d2-sum": System(title="K3+K5 sum", block="k3+k3d2/sum", backbone="sknet50"),
    "sknet50-k3+k3d3-sum": System(title="K3+K7 sum", block="k3+k3d3/sum", backbone="sknet50"),
    "sknet50-k3+k3d3": System(title="K3+K7 SK", block="k3+k3d3", backbone="sknet50"),
    "sknet50-k3d2+k3d3-sum": System(title="K5+K7 sum", block="k3d2+k3d3/sum", backbone="sknet50"),
    "sknet50-k3d2+k3d3": System(title="K5+K7 SK", block="k3d2+k3d3", backbone="sknet50"),
    "sknet50-k3+k3d2+k3d3-sum": System(title="K3+K5+K7 sum", block="k3+k3d2+k3d3/sum", backbone="sknet50"),
    "sknet50-k3+k3d2+k3d3": System(title="K3+K5+K7 SK", block="k3+k3d2+k3d3", backbone="sknet50"),
    # Table 5: CIFAR
    "resnext29-16x32d": System(title="ResNeXt-29, 16x32d", block="k3", backbone="sknet29"),
    "resnext29-8x64d": System(title="ResNeXt-29, 8x64d", block="k3", backbone="sknet29-8x64d"),
    "resnext29-16x64d": System(title="ResNeXt-29, 16x64d", block="k3", backbone="sknet29-16x64d"),
    "senet29": System(
        title="SENet-29",
        block="k3",
        backbone="sknet29",
        gate=_SE,
        why="on ResNeXt-29 16x32d, as the caption says; the printed #P is that of 8x64d",
    ),
    "senet29-8x64d": System(
        title="SENet-29",
        block="k3",
        backbone="sknet29-8x64d",
        gate=_SE,
        alternative_to="senet29",
        why="on ResNeXt-29 8x64d, against the caption",
    ),
    "sknet29": System(
        title="SKNet-29",
        block=_SK29,
        backbone="sknet29",
        why="the floor L scales with the cardinality (16 here); no floor gives the same d",
    ),
    "sknet29-floor32": System(
        title="SKNet-29",
        block=f"{_SK29}/L64",  # a block is written at cardinality 32: L64 is 32 at cardinality 16
        backbone="sknet29",
        alternative_to="sknet29",
        why="a floor of L = 32 in this network, as on ImageNet; written L64, as blocks are at cardinality 32",
    ),
    # Table 4 and Table S8 (supplement A): light networks
    "shufflenetv2-0.5x-original": System(
        title="ShuffleNetV2 0.5x (original paper)", block="k3", backbone="shufflenetv2-0.5x-original"
    ),
    "shufflenetv2-0.5x": System(
        title="ShuffleNetV2 0.5x (our impl.)", block="k3", backbone="shufflenetv2-0.5x"
    ),
    "shufflenetv2-0.5x-se": System(
        title="ShuffleNetV2 0.5x + SE",
        block="k3",
        backbone="shufflenetv2-0.5x",
        gate=_SE4,
        why="r of SE is not stated: 4, as it is of SK beside it",
    ),
    "shufflenetv2-0.5x-se-bn": System(
        title="ShuffleNetV2 0.5x + SE",
        block="k3",
        backbone="shufflenetv2-0.5x",
        gate=Gate(kind="se", reduction=4, batch_norm=True),
        alternative_to="shufflenetv2-0.5x-se",
        why="a BatchNorm after both fc",
    ),
    "shufflenetv2-0.5x-sk": System(
        title="ShuffleNetV2 0.5x + SK",
        block=_LIGHT,
        backbone="shufflenetv2-0.5x",
        why="every depthwise 3x3, that of the other way too; no floor L is stated",
    ),
    "shufflenetv2-0.5x-sk-floor16": System(
        title="ShuffleNetV2 0.5x + SK",
        block="k3+k3d2/r4/L16",
        backbone="shufflenetv2-0.5x",
        alternative_to="shufflenetv2-0.5x-sk",
        why="a floor of L = 16",
    ),
    "shufflenetv2-0.5x-sk-floor32": System(
        title="ShuffleNetV2 0.5x + SK",
        block="k3+k3d2/r4",
        backbone="shufflenetv2-0.5x",
        alternative_to="shufflenetv2-0.5x-sk",
        why="a floor of L = 32, as in SKNet-50",
    ),
    "shufflenetv2-1.0x-original": System(
        title="ShuffleNetV2 1.0x (original paper)", block="k3", backbone="shufflenetv2-1.0x-original"
    ),
    "shufflenetv2-1.0x": System(
        title="ShuffleNetV2 1.0x (our impl.)",
        block="k3",
        backbone="shufflenetv2-1.0x",
        why="the widths of ShuffleNetV2 1.0x (116, 232, 464); all three rows are printed 3 % below it",
    ),
    "shufflenetv2-1.0x-se": System(
        title="ShuffleNetV2 1.0x + SE",
        block="k3",
        backbone="shufflenetv2-1.0x",
        gate=_SE4,
        why="r of SE is not stated: 4, as it is of SK beside it; the printed #P is that of r = 16",
    ),
    "shufflenetv2-1.0x-se-r16": System(
        title="ShuffleNetV2 1.0x + SE",
        block="k3",
        backbone="shufflenetv2-1.0x",
        gate=_SE,
        alternative_to="shufflenetv2-1.0x-se",
        why="r = 16, as in SENet",
    ),
    "shufflenetv2-1.0x-sk": System(
        title="ShuffleNetV2 1.0x + SK",
        block=_LIGHT,
        backbone="shufflenetv2-1.0x",
        why="r = 4 as stated, without a floor; the printed #P is that of r = 16 with L = 16",
    ),
    "shufflenetv2-1.0x-sk-r8": System(
        title="ShuffleNetV2 1.0x + SK",
        block="k3+k3d2/r8/L1",
        backbone="shufflenetv2-1.0x",
        alternative_to="shufflenetv2-1.0x-sk",
        why="r = 8, without a floor",
    ),
    "shufflenetv2-1.0x-sk-r16": System(
        title="ShuffleNetV2 1.0x + SK",
        block="k3+k3d2/L16",
        backbone="shufflenetv2-1.0x",
        alternative_to="shufflenetv2-1.0x-sk",
        why="r = 16 with a floor of L = 16, against the text",
    ),
    "shufflenetv2-1.0x-sk-relu3": System(
        title="K3 ReLU", block="k3relu+k3d2/r4/L1", backbone="shufflenetv2-1.0x"
    ),
    "shufflenetv2-1.0x-sk-relu5": System(
        title="K5 ReLU", block="k3+k3d2relu/r4/L1", backbone="shufflenetv2-1.0x"
    ),
    "shufflenetv2-1.0x-sk-relu": System(
        title="K3 and K5 ReLU", block="k3relu+k3d2relu/r4/L1", backbone="shufflenetv2-1.0x"
    ),
    # Table S9: plain ResNets
    "resnet50": System(title="ResNet-50", block="k3", backbone="resnet50"),
    "resnet101": System(title="ResNet-101", block="k3", backbone="resnet101"),
    "resnet152": System(title="ResNet-152", block="k3", backbone="resnet152"),
}


def get_system(name: str) -> System:
    """Return the system called ``name``; an unknown name is a ``UserError`` with the nearest one."""
    return lookup(name, SYSTEMS, what="system", where=f"skexplore systems lists all {len(SYSTEMS)}")


def alternatives(name: str) -> list[str]:
    """Return the names of the other readings of the system called ``name``."""
    return [other for other, system in SYSTEMS.items() if system.alternative_to == name]


def system_cost(
    system: str | System, *, resolution: Resolution | None = None, classes: int | None = None
) -> Cost:
    """Return the exact cost of a system, for one image; ``resolution`` in pixels and ``classes`` as in ``cost``."""
    own = get_system(system) if isinstance(system, str) else system
    return own.architecture(classes).cost(resolution=resolution)
