"""From a block back to the levels of a space that mean it."""

from __future__ import annotations

from dataclasses import replace

from skexplore.backbone import REFERENCE, canonical_at_reference
from skexplore.block import Blocks, format_blocks, per_stage
from skexplore.census import Box, Form, Layout, TooManyError
from skexplore.decisions import Level
from skexplore.errors import UserError
from skexplore.space import Space


def encode(space: Space, blocks: Blocks) -> dict[str, Level]:
    """Return levels, one per decision, that ``space`` decodes to the canonical form of ``blocks``.

    Decisions are settled one after another, each at its first level with which the block is still there. Raises
    ``UserError`` if the space does not hold the block.
    """
    target = canonical_at_reference(blocks)
    try:
        if _holds(space, target):
            for path, levels in space.decisions.items():
                for level in levels:
                    narrower = replace(space, decisions={**space.decisions, path: (level,)})
                    if _holds(narrower, target):
                        space = narrower
                        break
            return {path: level for path, (level,) in space.decisions.items()}
    except TooManyError:
        raise UserError(f"space {space.name}: too large to look a block up in it") from None
    raise UserError(
        f"block {format_blocks(target)} is not in the space {space.name}; skexplore space show lists its choices"
    )


def _holds(space: Space, target: Blocks) -> bool:
    layout = Layout(space)
    forms = [_form(target, group) for group in layout.groups]
    return any(_in_box(forms, box) for levels in layout.settings() for box in layout.boxes_of(levels))


def _in_box(forms: list[Form | None], box: Box) -> bool:
    return all(form is not None and form in part for form, part in zip(forms, box, strict=True))


def _form(target: Blocks, stages: tuple[int, ...]) -> Form | None:
    """Return what ``target`` is in tied ``stages``, None if it is not the same block in all of them."""
    own = [per_stage(target, len(REFERENCE.stages))[stage - 1] for stage in stages]
    if any((block.branches, block.selects) != (own[0].branches, own[0].selects) for block in own):
        return None
    widths = [REFERENCE.widths[stage - 1] for stage in stages]
    dims = tuple(block.dim(width) for block, width in zip(own, widths, strict=True) if block.selects)
    return own[0].branches, dims
