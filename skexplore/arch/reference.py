"""The reference: the network for which blocks are written, and in which they are budgeted and compared.

It is SKNet-50 unless one chooses another. Its numbers are the notation's: L is the floor there, and groups count from
its cardinality.
"""

from __future__ import annotations

import re
from dataclasses import replace

from skexplore.arch.backbone import Backbone, resolution_text
from skexplore.arch.backbones import BACKBONES, REFERENCE, get_backbone, is_proxy
from skexplore.arch.notation import REFERENCE_CARDINALITY, Blocks, Branch, canonical
from skexplore.errors import UserError, did_you_mean


def counts_groups(body: Backbone) -> bool:
    """Whether the cardinality of ``body`` says how wide it is: neither at 1 nor in depthwise units."""
    return body.cardinality > 1 and not body.unit.depthwise


def written_for(body: Backbone) -> Backbone:
    """Return the reference whose numbers a block in ``body`` has: SKNet-50 where groups count, else ``body``."""
    return REFERENCE if counts_groups(body) else body


def get_reference(name: str | None = None) -> Backbone:
    """Return the backbone ``NAME`` or ``NAME@HxW`` as a reference, by default SKNet-50 at 224x224.

    Raises ``UserError`` for what cannot be one.
    """
    if name is None:
        return REFERENCE
    base = re.split("[:@]", name, maxsplit=1)[0]
    if base not in BACKBONES and not is_proxy(base):
        known = [each for each, own in BACKBONES.items() if not counts_groups(own) or own.cardinality == 32]
        raise UserError(
            f"unknown reference {name!r}{did_you_mean(base, known)}; known: {', '.join(known)}, each also for images "
            "of another size as NAME@160 or NAME@480x640, and varied as NAME:2-2-2-2 or NAME:x0.5"
        )
    body = get_backbone(name)
    if counts_groups(body) and body.cardinality != REFERENCE_CARDINALITY:
        raise UserError(
            f"reference {name}: of cardinality {body.cardinality}, but L and groups are written for one of "
            f"{REFERENCE_CARDINALITY}, of 1, or for depthwise units; take sknet50, resnet50, skresnet18 or "
            "shufflenetv2-1.0x, and for what is trained --backbone"
        )
    return body


def reference_words(reference: Backbone) -> str:
    """Return what the reference is and the size of its images, in words."""
    name = reference.name.split("@")[0]
    return f"{'SKNet-50' if name == REFERENCE.name else name} at {resolution_text(reference.resolution)}"


def canonical_at_reference(blocks: Blocks, reference: Backbone = REFERENCE) -> Blocks:
    """Return the one spelling of all blocks that mean the same network at the reference.

    Whether the reference can hold the blocks is said by ``place``. Raises ``UserError`` for blocks that are not one for
    each stage.
    """
    return canonical(in_words_of(blocks, reference), reference.sk_widths)


def in_words_of(blocks: Blocks, reference: Backbone) -> Blocks:
    """Return ``blocks`` in the words of the reference: L and groups as absolute or not are one thing there.

    In SKNet-50 alone they are not: what is absolute there is another network in every proxy.
    """
    if reference == REFERENCE:
        return blocks
    return tuple(
        replace(
            block,
            branches=tuple(branch_at_reference(branch, reference) for branch in block.branches),
            absolute=False,
        )
        for block in blocks
    )


def branch_at_reference(branch: Branch, reference: Backbone) -> Branch:
    """Return the one spelling of ``branch`` at the reference, which may yet not be able to hold it.

    Groups are written as they are built there unless they are the reference's own, and an activation unless it is.
    """
    if reference == REFERENCE:
        return branch
    act = "" if branch.act == reference.unit.act else branch.act
    if reference.unit.depthwise:  # groups that are absolute are refused when the block is placed
        return replace(branch, groups=branch.groups if branch.absolute else REFERENCE_CARDINALITY, act=act)
    if counts_groups(reference):
        return replace(branch, absolute=False, act=act)
    groups = groups_at_reference(branch, reference)
    if groups == 1:
        return replace(branch, groups=REFERENCE_CARDINALITY, absolute=False, act=act)
    return replace(branch, groups=int(groups), absolute=True, act=act) if groups % 1 == 0 else branch


def groups_at_reference(branch: Branch, reference: Backbone) -> float:
    """Return the groups of ``branch`` at the reference; in depthwise units 1 where it asks for none of its own."""
    if counts_groups(reference) or branch.absolute:
        return branch.groups
    return 1 if reference.unit.depthwise else branch.groups / REFERENCE_CARDINALITY
