"""The distinct architectures of a space as what a search may train: draws from all, and from those not tried yet.

A space that can be written out is, so that a search of it ends with its last architecture; a larger one is drawn from.
"""

from __future__ import annotations

import bisect
import itertools
import math
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from skexplore.arch import Architecture, Backbone, Bound, Branch, Sizes, counts_groups, groups_at_reference
from skexplore.space.boxes import Form, Layout, box_size, enumerate_forms, pruned
from skexplore.space.decisions import Level
from skexplore.space.encoder import PlainEncoder, form_of
from skexplore.space.space import Space
from skexplore.space.union import Union

Forms = tuple[
    int, tuple[Form, ...]
]  # an architecture: the place of its body, and the form of each group of stages
WRITTEN_OUT = 100_000  # architectures of a space that is
DRAWS = 2_000  # from a larger one, of which all may be over the limits or tried


class Shape(NamedTuple):
    """An architecture as what may explain its error.

    stages: of each stage its branches, groups as shares of a cardinality of 32, and d / C where attention acts. units,
    width: of the body, the mean log2 of the units of a stage, and log2 of the mean channels of its SK convolutions.
    """

    stages: tuple[tuple[tuple[Branch, ...], float | None], ...]
    units: float
    width: float


def shape_of(stages: tuple[tuple[tuple[Branch, ...], float | None], ...], body: Backbone) -> Shape:
    """Return the shape of an architecture of these stages in ``body``."""
    return Shape(stages, *_size(body))


@lru_cache(maxsize=1024)
def _size(body: Backbone) -> tuple[float, float]:
    units = [math.log2(stage.depth) for stage in body.stages]  # not their sum: 3-4-6-3 has as many as 4-4-4-4
    return sum(units) / len(units), math.log2(sum(own[-1] for own in body.sk_widths) / len(body.sk_widths))


@lru_cache(maxsize=65536)
def in_shares(branches: tuple[Branch, ...], reference: Backbone) -> tuple[Branch, ...]:
    """Return branches at the reference as they would be written if its cardinality were 32."""
    if counts_groups(reference):
        return branches
    groups = [round(32 * groups_at_reference(branch, reference)) for branch in branches]
    return tuple(
        replace(branch, groups=own, absolute=False) for branch, own in zip(branches, groups, strict=True)
    )


class _InBody:
    """The distinct architectures of a plain space, whose body ``levels`` choose.

    union: all of them. boxes: without what is over the bounds whatever else is chosen.
    """

    def __init__(self, levels: Mapping[str, Level], space: Space, bounds: Sequence[Bound]) -> None:
        self.space, self._levels = space, levels
        self.layout, self._encoder = Layout(space), PlainEncoder(space)
        boxes = self.layout.boxes()
        self.union, self.boxes = Union(boxes), pruned(boxes, bounds)

    def forms_of(self, own: Architecture) -> tuple[Form, ...]:
        found = [form_of(own.blocks, group, own.backbone) for group in self.layout.groups]
        assert None not in found, "a block of the space is the same in stages that its decisions tie"
        return tuple(form for form in found if form is not None)

    def levels(self, forms: tuple[Form, ...]) -> dict[str, Level]:
        levels = self._encoder.settled(list(forms))
        assert levels is not None, "the forms are of this space"
        return {**self._levels, **levels}

    def shape(self, forms: tuple[Form, ...]) -> Shape:
        body, found = self.space.reference, dict[int, tuple[tuple[Branch, ...], float | None]]()
        for group, (branches, dims) in zip(self.layout.groups, forms, strict=True):
            alike, left = in_shares(branches, body), iter(dims)
            for stage in group:
                shares = [dim / width for width, dim in zip(body.sk_widths[stage - 1], left, strict=False)]
                found[stage] = alike, shares[-1] if shares else None
        return shape_of(tuple(found[stage] for stage in sorted(found)), body)


class _Draws:
    """Draws from the architectures of several bodies, each in the ``unions`` by the place of its body."""

    def __init__(self, unions: Mapping[int, Union]) -> None:
        self._bodies, self._unions = list(unions), list(unions.values())
        self._ends = list(itertools.accumulate(union.total for union in self._unions))

    def draw(self, generator: random.Random) -> Forms | None:
        """Return a draw, None where it is to be drawn again: what lies in many boxes is met in each of them."""
        at = 0
        if len(self._bodies) > 1:
            at = bisect.bisect_right(self._ends, generator.randrange(self._ends[-1]))
        forms, boxes = self._unions[at].draw(generator)
        return (self._bodies[at], forms) if generator.random() * boxes < 1 else None


class Candidates:
    """The distinct architectures of ``space``, of which a search may train those that keep ``bounds``.

    within: all that keep them, in order; None where there are too many architectures to write out. Raises
    ``TooManyError`` for a space too large to be taken apart.
    """

    def __init__(self, space: Space, bounds: Sequence[Bound] = ()) -> None:
        self._space, self._bounds = space, bounds
        self._bodies = [_InBody(levels, own, bounds) for levels, own in space.plain()]
        self._places = {own.space.reference: at for at, own in enumerate(self._bodies)}
        self._all = _Draws({at: own.union for at, own in enumerate(self._bodies)})
        self._near = self._all
        self.within: list[Forms] | None = None
        if sum(box_size(box) for own in self._bodies for box in own.boxes) <= WRITTEN_OUT:
            self.within = [
                (at, forms)
                for at, own in enumerate(self._bodies)
                if own.boxes
                for forms, sizes in enumerate_forms(own.boxes)
                if self._keeps(sizes)
            ]
        elif bounds:
            self._near = _Draws({at: Union(own.boxes) for at, own in enumerate(self._bodies) if own.boxes})

    def _keeps(self, sizes: Sizes) -> bool:
        return all(bound.keeps(sizes) for bound in self._bounds)

    def forms_of(self, own: Architecture) -> Forms:
        """Return the forms of an architecture that the space holds, in its one spelling."""
        at = self._places[own.backbone]
        return at, self._bodies[at].forms_of(own)

    def sizes(self, forms: Forms) -> Sizes:
        """Return what ``forms`` cost at the reference, or in their own body."""
        return self._bodies[forms[0]].union.sizes(forms[1])

    def levels(self, forms: Forms) -> dict[str, Level]:
        """Return levels, one per decision, that mean ``forms``."""
        found = self._bodies[forms[0]].levels(forms[1])
        return {path: found[path] for path in self._space.decisions}

    def network(self, forms: Forms) -> Architecture:
        """Return the architecture that ``forms`` are."""
        return self._space.network(self.levels(forms))

    def shape(self, forms: Forms) -> Shape:
        """Return the shape of an architecture; where the units of a stage differ, as in the last of them."""
        return self._bodies[forms[0]].shape(forms[1])

    @property
    def reference(self) -> Backbone:
        """The network for which the space is written."""
        return self._space.reference

    def draw(self, generator: random.Random) -> dict[str, Level]:
        """Return levels of an architecture, whatever it costs, each architecture equally likely.

        Levels drawn one by one are not so: an architecture that can be written in many ways would come more often.
        """
        while (forms := self._all.draw(generator)) is None:
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
            forms = self._near.draw(generator)
            if forms is not None and forms not in tried and self._keeps(self.sizes(forms)):
                return forms
        return None
