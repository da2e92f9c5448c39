"""A whole network as one value: a block, the backbone around it, and what an ablation changes beside it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from skexplore.arch.attention import Gate, format_gate, gate_costs, parse_gate
from skexplore.arch.backbone import MAX_CLASSES, MAX_IN_CHANNELS, Backbone, Resolution, check_whole
from skexplore.arch.backbones import REFERENCE, as_backbone
from skexplore.arch.costs import arch_id, as_blocks, network_cost, network_cost_by_stage
from skexplore.arch.formulas import Cost
from skexplore.arch.notation import Blocks, SKBlock
from skexplore.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A network: ``blocks``, written at cardinality 32, in ``backbone``; ``Architecture.of`` makes one from notation.

    gate: attention modules beside the blocks, None for none. fuse_norm: whether the fully connected layer of fuse has
    its BatchNorm (Eq. 3).
    """

    blocks: Blocks
    backbone: Backbone = REFERENCE
    gate: Gate | None = None
    fuse_norm: bool = True

    @classmethod
    def of(
        cls,
        block: str | SKBlock | Blocks | Architecture,
        backbone: str | Backbone = REFERENCE,
        *,
        gate: str | Gate | None = None,
        fuse_norm: bool = True,
        classes: int | None = None,
        in_channels: int | None = None,
    ) -> Architecture:
        """Return the network of ``block`` (notation, ``SKBlock`` or one per stage) in ``backbone``.

        ``gate`` in the notation of ``parse_gate``; ``classes`` and ``in_channels`` default to the backbone's.
        An ``Architecture`` stands for itself. Raises ``UserError`` for what cannot be read, for classes that are not 1
        to 1,000,000 and ``in_channels`` that are not 1 to 4,096; whether the backbone can hold the block is said by
        ``placed``.
        """
        if isinstance(block, Architecture):
            if (backbone, gate, fuse_norm, classes, in_channels) != (REFERENCE, None, True, None, None):
                raise UserError(
                    "an Architecture has its own backbone, gate, fuse_norm, classes and in_channels: leave them out"
                )
            return block
        body = as_backbone(backbone)
        if classes is not None:
            check_whole("classes", classes, MAX_CLASSES)
            body = replace(body, classes=classes)
        if in_channels is not None:
            body = replace(body, in_channels=check_whole("in_channels", in_channels, MAX_IN_CHANNELS))
        module = parse_gate(gate) if isinstance(gate, str) else gate
        return cls(blocks=as_blocks(block), backbone=body, gate=module, fuse_norm=fuse_norm)

    @property
    def placed(self) -> Blocks:
        """One block per stage, scaled to the backbone; ``UserError`` if it cannot hold them."""
        return self.backbone.place(self.blocks)

    @property
    def id(self) -> str:
        """The identity of the network: equal ids are one network.

        At SKNet-50 the ``arch_id`` of its blocks, elsewhere their ``net_id``, hashed with a gate and with a
        BatchNorm that was taken away: one that is not there cannot be.
        """
        own = arch_id(self.blocks, self.backbone)
        bare = not self.fuse_norm and any(form.selects for form in self.blocks)
        if self.gate is None and not bare:
            return own
        return hashlib.sha256(f"{own} {self.gate} {bare}".encode()).hexdigest()[:12]

    def cost(self, *, resolution: Resolution | None = None) -> Cost:
        """Return the exact cost for one image; ``resolution`` in pixels, the backbone's by default.

        Raises ``UserError`` if the backbone cannot hold the blocks, or for a resolution that is not 1 to 4096.
        """
        total = network_cost(self.placed, self.backbone, resolution=resolution)
        return sum(self._around(resolution), total)

    def cost_by_stage(self, *, resolution: Resolution | None = None) -> dict[str, Cost]:
        """Return what ``cost`` returns in parts: ``stem``, ``stage 1`` and so on, ``head``."""
        parts = network_cost_by_stage(self.placed, self.backbone, resolution=resolution)
        for number, added in enumerate(self._around(resolution), start=1):
            parts[f"stage {number}"] += added
        return parts

    def _around(self, resolution: Resolution | None) -> tuple[Cost, ...]:
        """Return what each stage has more than its blocks: modules of the gate, less BatchNorms; empty for nothing."""
        gates = gate_costs(self.gate, self.backbone, resolution) if self.gate else ()
        if self.fuse_norm:
            return gates
        pairs = zip(self.backbone.parts(), self.placed, strict=True)
        widths = [
            sum(count * form.dim(at.width) for count, at in part.places) if form.selects else 0
            for part, form in pairs
        ]
        less = [Cost(params=-2 * width, bn_stats=-2 * width, bn_elements=-width) for width in widths]
        return tuple(map(Cost.__add__, gates, less)) if gates else tuple(less)


def placed_rows(own: Architecture) -> list[dict[str, object]]:
    """Return what is built of the blocks in each stage: stage, and width, groups and d of its SK convolutions.

    A stage of units that differ has several of each; groups are those of the branches in turn. d is None without
    attention. Raises ``UserError`` if the backbone cannot hold the blocks.
    """
    rows: list[dict[str, object]] = []
    for number, (part, form) in enumerate(zip(own.backbone.parts(), own.placed, strict=True), start=1):
        places = {at.width: at for _, at in part.places}.values()
        groups = [[at.width if at.depthwise else b.groups for b in form.branches] for at in places]
        rows.append(
            {
                "stage": number,
                "width": [at.width for at in places],
                "groups": groups,
                "d": [form.dim(at.width) for at in places] if form.selects else None,
            }
        )
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What surrounds the block in one network of an ablation, as studies store it.

    backbone: its name (empty: the study's). gate: an attention module in the notation of ``parse_gate`` (empty:
    none). fuse_norm: as in ``Architecture``.
    """

    backbone: str = ""
    gate: str = ""
    fuse_norm: bool = True

    @classmethod
    def of(cls, architecture: Architecture, backbone: str) -> Setting:
        """Return what is stored of ``architecture`` beside its block; ``backbone``: a variant's own, empty for none."""
        return cls(backbone=backbone, gate=format_gate(architecture.gate), fuse_norm=architecture.fuse_norm)

    def around(self, block: str | Blocks, backbone: str | Backbone = REFERENCE) -> Architecture:
        """Return the network of ``block`` in ``backbone``, with what is stored here beside it."""
        return Architecture.of(block, backbone, gate=self.gate, fuse_norm=self.fuse_norm)

    @property
    def words(self) -> str:
        """What is not plain, in words; empty if all is."""
        parts = [f"in {self.backbone}"] if self.backbone else []
        parts += [f"+ {self.gate}"] if self.gate else []
        parts += ["without BN in fuse"] if not self.fuse_norm else []
        return " ".join(parts)


PLAIN = Setting()  # the study's backbone and nothing beside the block
