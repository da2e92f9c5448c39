"""The distinct architectures of a space as what a search may train: draws from all, and from those not tried yet.

A space that can be written out is, so that a search of it ends with its last architecture; a larger one is drawn from.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence

from skexplore.arch import Blocks, Bound, Branch
from skexplore.space.boxes import Form, Layout, Sizes, box_size, enumerate_forms
from skexplore.space.decisions import Level
from skexplore.space.encoder import Encoder, form_of
from skexplore.space.space import Space
from skexplore.space.union import Union

Forms = tuple[Form, ...]  # an architecture: the form of each group of tied stages
# of each stage of the reference its branches, and d of Eq. 4 where attention acts
Stages = tuple[tuple[tuple[Branch, ...], int | None], ...]
WRITTEN_OUT = 100_000  # architectures of a space that is
DRAWS = 2_000  # from a larger one, of which all may be over the limits or tried


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
            self.within = [forms for forms, *sizes in enumerate_forms(boxes) if self._keeps(*sizes)]

    def _keeps(self, macs: int, params: int) -> bool:
        return all(bound.keeps(macs, params) for bound in self._bounds)

    def forms_of(self, blocks: Blocks) -> Forms:
        """Return the forms of canonical ``blocks`` that the space holds."""
        found = [form_of(blocks, group) for group in self._layout.groups]
        assert None not in found, "a block of the space is the same in stages that its decisions tie"
        return tuple(form for form in found if form is not None)

    def sizes(self, forms: Forms) -> Sizes:
        """Return macs and params of ``forms`` at the reference."""
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
        """Return what ``forms`` are in each stage of the reference."""
        found: dict[int, tuple[tuple[Branch, ...], int | None]] = {}
        for group, (branches, dims) in zip(self._layout.groups, forms, strict=True):
            found |= {stage: (branches, dims[at] if dims else None) for at, stage in enumerate(group)}
        return tuple(found[stage] for stage in sorted(found))

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
            if forms is not None and forms not in tried and self._keeps(*self._union.sizes(forms)):
                return forms
        return None

    def _drawn(self, generator: random.Random) -> Forms | None:
        """Return a draw, None where it is to be drawn again: what lies in many boxes is met in each of them."""
        forms, boxes = self._union.draw(generator)
        return forms if generator.random() * boxes < 1 else None
