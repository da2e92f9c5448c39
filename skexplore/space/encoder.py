"""From a block back to the levels of a space that mean it."""

from __future__ import annotations

from dataclasses import replace

from skexplore.arch import (
    Architecture,
    Backbone,
    Blocks,
    canonical_at_reference,
    format_network,
    per_stage,
)
from skexplore.errors import UserError
from skexplore.space.boxes import Form, Layout, Levels, TooManyError, widths_of
from skexplore.space.decisions import Level
from skexplore.space.space import Space


class NotInSpaceError(UserError):
    """A block that a space does not hold."""


class PlainEncoder:
    """Finds levels for the blocks of one plain space; what it learns of the space it keeps."""

    def __init__(self, space: Space, reference: Backbone | None = None) -> None:
        self._space, self._layout, self._whole = space, Layout(space), reference or space.reference

    def levels(self, blocks: Blocks) -> dict[str, Level]:
        """Return levels, one per decision, that the space decodes to the canonical form of ``blocks``.

        Decisions are settled one after another, each at its first level with which the block is still there.
        Raises ``NotInSpaceError``.
        """
        reference = self._space.reference
        target = canonical_at_reference(blocks, reference)
        found = self.settled([form_of(target, group, reference) for group in self._layout.groups])
        # a floor that is written as absolute is the same at the reference, and another elsewhere
        if found is None or self._space.decode(found) != target:
            raise NotInSpaceError(
                f"block {format_network(target, reference, self._whole)} is not in the space {self._space.name}; "
                "skexplore space show lists its choices"
            )
        return found

    def settled(self, forms: list[Form | None]) -> dict[str, Level] | None:
        """Return levels that mean ``forms``, one of each group of tied stages, or None if there are none."""
        known = [form for form in forms if form is not None]
        levels: dict[str, tuple[Level, ...]] = dict(self._space.decisions)
        if len(known) < len(forms) or not self._holds(levels, known):
            return None
        for path, choices in self._space.decisions.items():
            for level in choices:
                narrower = {**levels, path: (level,)}
                # what none of the others can mean, the last one does
                if level == choices[-1] or self._holds(narrower, known):
                    levels = narrower
                    break
        return {path: level for path, (level,) in levels.items()}

    def _holds(self, levels: Levels, forms: list[Form]) -> bool:
        return any(self._layout.holds(setting, forms) for setting in self._layout.settings(levels))


class Encoder:
    """Finds levels for the architectures of one space, whether it decides their body or not."""

    def __init__(self, space: Space) -> None:
        self._space = space
        self._bodies = {
            own.reference: (levels, PlainEncoder(own, space.reference)) for levels, own in space.plain()
        }
        self._alike = {replace(body, name=""): body for body in self._bodies}

    def levels(self, own: Architecture) -> dict[str, Level]:
        """Return levels, one per decision, that the space makes ``own`` of. Raises ``NotInSpaceError``."""
        body = self._alike.get(replace(own.backbone, name=""))
        if body is None:
            text = format_network(own.blocks, own.backbone, self._space.reference)
            raise NotInSpaceError(
                f"block {text} is not in the space {self._space.name}: its bodies are "
                f"{', '.join(each.name for each in self._bodies)}"
            )
        levels, encoder = self._bodies[body]
        found = {**levels, **encoder.levels(own.blocks)}
        return {path: found[path] for path in self._space.decisions}


def encode(space: Space, given: Architecture | Blocks) -> dict[str, Level]:
    """Return levels of ``space`` that mean a network, or blocks at the reference (see ``Encoder.levels``)."""
    own = given if isinstance(given, Architecture) else Architecture(blocks=given, backbone=space.reference)
    try:
        return Encoder(space).levels(own)
    except TooManyError:
        raise UserError(f"space {space.name}: too large to look a block up in it") from None


def form_of(target: Blocks, stages: tuple[int, ...], reference: Backbone) -> Form | None:
    """Return what ``target`` is in tied ``stages``, None if it is not the same block in all of them."""
    own = [per_stage(target, len(reference.stages))[stage - 1] for stage in stages]
    if any((block.branches, block.selects) != (own[0].branches, own[0].selects) for block in own):
        return None
    dims = tuple(
        block.dim(width)
        for block, stage in zip(own, stages, strict=True)
        for width in widths_of(reference, (stage,))
        if block.selects
    )
    return own[0].branches, dims
