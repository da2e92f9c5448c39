"""The distinct architectures of a space as what a search may train: draws from all, and from those not tried yet.

A space that can be written out is, so that a search of it ends with its last architecture; a larger one is drawn from.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import lru_cache

from skexplore.arch import Backbone, Blocks, Bound, Branch, Sizes, counts_groups, groups_at_reference
from skexplore.space.boxes import Form, Layout, box_size, enumerate_forms
from skexplore.space.decisions import Level
from skexplore.space.encoder import Encoder, form_of
from skexplore.space.space import Space
from skexplore.space.union import Union

Forms = tuple[Form, ...]  # an architecture: the form of each group of tied stages
# of each stage of the reference its branches, groups as shares of a cardinality of 32, and d / C where attention acts
Stages = tuple[tuple[tuple[Branch, ...], float | None], ...]
WRITTEN_OUT = 100_000  # architectures of a space that is
DRAWS = 2_000  # from a larger one, of which all may be over the limits or tried


@lru_cache(maxsize=65536)
def in_shares(branches: tuple[Branch, ...], reference: Backbone) -> tuple[Branch, ...]:
    """Return branches at the reference as they would be written if its cardinality were 32."""
    if counts_groups(reference):
        return branches
    groups = [round(32 * groups_at_reference(branch, reference)) for branch in branches]
    return tuple(
        replace(branch, groups=own, absolute=False) for branch, own in zip(branches, groups, strict=True)
    )


class Candidates:
    """The distinct architectures of ``space``, of which a search may train those that keep ``bounds``.

    within: all that keep them, in order; None where there are too many architectures to write out. Raises
    ``TooManyError`` for a space too large to be taken apart.
    """

    def __init__(self, space: Space, bounds: Sequence[Bound] = ()) -> None:
        self._space, self._bounds = space, bounds
        self._layout, self._encoder = Layout(space), Encoder(space)
        boxes = self._layout.boxes()
        self._union = Union(boxes)
        self.within: list[Forms] | None = None
        if sum(map(box_size, boxes)) <= WRITTEN_OUT:
            self.within = [forms for forms, sizes in enumerate_forms(boxes) if self._keeps(sizes)]

    def _keeps(self, sizes: Sizes) -> bool:
        return all(bound.keeps(sizes) for bound in self._bounds)

    def forms_of(self, blocks: Blocks) -> Forms:
        """Return the forms of canonical ``blocks`` that the space holds."""
        found = [form_of(blocks, group, self._space.reference) for group in self._layout.groups]
        assert None not in found, "a block of the space is the same in stages that its decisions tie"
        return tuple(form for form in found if form is not None)

    def sizes(self, forms: Forms) -> Sizes:
        """Return what ``forms`` cost at the reference."""
        return self._union.sizes(forms)

    def levels(self, forms: Forms) -> dict[str, Level]:
        """Return levels, one per decision, that mean ``forms``."""
        levels = self._encoder.settled(list(forms))
        assert levels is not None, "the forms are of this space"
        return levels

    def blocks(self, forms: Forms) -> Blocks:
        """Return the canonical blocks that ``forms`` are."""
        return self._space.decode(self.levels(forms))

    def stages(self, forms: Forms) -> Stages:
        """Return what ``forms`` are in each stage of the reference; where its units differ, in the last of them."""
        reference, found = self.reference, dict[int, tuple[tuple[Branch, ...], float | None]]()
        for group, (branches, dims) in zip(self._layout.groups, forms, strict=True):
            alike, left = in_shares(branches, reference), iter(dims)
            for stage in group:
                shares = [
                    dim / width for width, dim in zip(reference.sk_widths[stage - 1], left, strict=False)
                ]
                found[stage] = alike, shares[-1] if shares else None
        return tuple(found[stage] for stage in sorted(found))

    @property
    def reference(self) -> Backbone:
        """The network for which the space is written."""
        return self._space.reference

    def draw(self, generator: random.Random) -> dict[str, Level]:
        """Return levels of an architecture, whatever it costs, each architecture equally likely.

        Levels drawn one by one are not so: an architecture that can be written in many ways would come more often.
        """
        while (forms := self._drawn(generator)) is None:
            pass
        return self.levels(forms)

    def untried(self, tried: Collection[Forms], generator: random.Random) -> Forms | None:
        """Return one that keeps the bounds and is not ``tried``, each equally likely.

        None if there is none, or in a large space if none was met in many draws.
        """
        if self.within is not None:
            left = [forms for forms in self.within if forms not in tried]
            return generator.choice(left) if left else None
        for _ in range(DRAWS):
            forms = self._drawn(generator)
            if forms is not None and forms not in tried and self._keeps(self._union.sizes(forms)):
                return forms
        return None

    def _drawn(self, generator: random.Random) -> Forms | None:
        """Return a draw, None where it is to be drawn again: what lies in many boxes is met in each of them."""
        forms, boxes = self._union.draw(generator)
        return forms if generator.random() * boxes < 1 else None
