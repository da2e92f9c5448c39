"""Cost and identity of a whole network: a block, its backbone, and what an ablation changes around it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from skexplore.arch.attention import gated_cost, parse_gate
from skexplore.arch.backbones import REFERENCE, Backbone, get_backbone
from skexplore.arch.costs import Cost, arch_id, net_id
from skexplore.arch.notation import Blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What surrounds the block in one network of an ablation, where that is not as the study has it.

    backbone: its name (empty: the study's). gate: an attention module in the notation of ``parse_gate`` (empty:
    none). fuse_norm: whether the fully connected layer of fuse has its BatchNorm (Eq. 3).
    """

    backbone: str = ""
    gate: str = ""
    fuse_norm: bool = True

    @property
    def words(self) -> str:
        """What is not plain, in words; empty if all is."""
        parts = [f"in {self.backbone}"] if self.backbone else []
        parts += [f"+ {self.gate}"] if self.gate else []
        parts += ["without BN in fuse"] if not self.fuse_norm else []
        return " ".join(parts)


PLAIN = Setting()  # the study's backbone and nothing beside the block


def whole_cost(blocks: Blocks, backbone: Backbone, setting: Setting) -> Cost:
    """Return the exact cost of ``blocks`` (written at cardinality 32) in ``backbone``, for one image.

    The gate and the BatchNorm of fuse are as ``setting`` has them; its backbone is not looked at. Raises
    ``UserError`` if the backbone cannot hold the block.
    """
    total = gated_cost(blocks, backbone, parse_gate(setting.gate))
    if setting.fuse_norm:
        return total
    pairs = zip(backbone.stages, backbone.place(blocks), strict=True)
    without = sum(stage.depth * form.dim(stage.width) for stage, form in pairs if form.selects)
    less = Cost(params=-2 * without, bn_stats=-2 * without, bn_elements=-without)
    return total + less


def whole_net_id(blocks: Blocks, backbone: Backbone, setting: Setting) -> str:
    """Return the identity of the network that is trained: ``cost.net_id`` where nothing surrounds the block."""
    return _with(setting, net_id(blocks, backbone), selects=any(form.selects for form in blocks))


def whole_arch_id(blocks: Blocks, reference: str, setting: Setting) -> str:
    """Return the identity at the scale of the paper: ``cost.arch_id`` for a block in SKNet-50 alone."""
    plain = reference == REFERENCE.name
    own = arch_id(blocks) if plain else net_id(blocks, get_backbone(reference))
    return _with(setting, own, selects=any(form.selects for form in blocks))


def _with(setting: Setting, own: str, *, selects: bool) -> str:
    """Return ``own``, hashed with what is not plain; a BatchNorm that is not there cannot be taken away."""
    gate = parse_gate(setting.gate)
    bare = selects and not setting.fuse_norm
    if gate is None and not bare:
        return own
    return hashlib.sha256(f"{own} {gate} {bare}".encode()).hexdigest()[:12]
