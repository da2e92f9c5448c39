"""The union of many boxes: its exact size where that can be had, and uniform draws from it."""

from __future__ import annotations

import bisect
import itertools
import random
from collections import Counter

from skexplore.arch import Branch, Sizes
from skexplore.space.boxes import MANY, Box, Form, Part, TooManyError, box_size, frame_sizes

MANY_BOXES = 20_000  # each is a bit in numbers of which there are as many
MANY_STEPS = 10_000_000  # of counting the overlaps: a few seconds


class Union:
    """The union of many boxes, for spaces too large to enumerate: its size, and uniform draws from it."""

    def __init__(self, boxes: list[Box]) -> None:
        if len(boxes) > MANY_BOXES:
            raise TooManyError
        self.boxes = boxes
        self._ends = list(itertools.accumulate(map(box_size, boxes)))
        self.total = self._ends[-1]
        self._sides = [_Side([box[number] for box in boxes]) for number in range(len(boxes[0]))]

    def size(self) -> int | None:
        """Return the exact size, or None if the boxes overlap in too many ways.

        Forms that lie in the same boxes are counted together: a set of boxes is a whole number of bits, and
        an architecture lies in the boxes in which all its parts lie.
        """
        if len(self.boxes) == 1:
            return self.total
        ways = {-1: 1}
        for side in self._sides:
            counts = side.counts()
            if len(ways) * len(counts) > MANY_STEPS:
                return None
            grown: Counter[int] = Counter()
            for before, count in ways.items():
                for mask, more in counts.items():
                    grown[before & mask] += count * more
            del grown[0]
            if len(grown) > MANY_BOXES:
                return None
            ways = grown
        return sum(ways.values())

    def draw(self, generator: random.Random) -> tuple[tuple[Form, ...], int]:
        """Return an architecture of a box drawn by its size, and how many boxes hold it.

        Karp and Luby (1983): the mean of 1 / that number, times ``total``, is the size of the union without
        bias; kept with a chance of 1 / that number, architectures are uniform on the union.
        """
        box = self.boxes[bisect.bisect_right(self._ends, generator.randrange(self.total))]
        forms = tuple(part[generator.randrange(part.size)] for part in box)
        mask = -1
        for side, form in zip(self._sides, forms, strict=True):
            mask &= side.mask(form)
        return forms, mask.bit_count()

    def sizes(self, forms: tuple[Form, ...]) -> Sizes:
        """Return what a drawn architecture costs at the reference."""
        macs, params, activations = frame_sizes(self.boxes[0][0].reference)
        for part, form in zip(self.boxes[0], forms, strict=True):  # costs depend on the stages alone
            more = part.sizes(form)
            macs, params, activations = macs + more[0], params + more[1], activations + more[2]
        return Sizes(macs, params, activations)


class _Side:
    """The parts that many boxes have in one place, and in which boxes each form lies (bit i: box i)."""

    def __init__(self, parts: list[Part]) -> None:
        distinct = list({id(part): part for part in parts}.values())
        if sum(len(part.singles) + len(part.several) for part in distinct) > MANY:
            raise TooManyError
        number = {id(part): index for index, part in enumerate(distinct)}
        self._boxes = [0] * len(distinct)
        for box, part in enumerate(parts):
            self._boxes[number[id(part)]] |= 1 << box
        # in which of the distinct parts a tuple of branches, and a d, occur (bits again)
        self._branches: dict[tuple[Branch, ...], int] = {}
        self._dims: dict[tuple[int, ...], int] = {}
        for index, part in enumerate(distinct):
            for branches in itertools.chain(part.singles, part.several):
                self._branches[branches] = self._branches.get(branches, 0) | 1 << index
            for dims in part.dims:
                self._dims[dims] = self._dims.get(dims, 0) | 1 << index
        self._known: dict[int, int] = {}

    def mask(self, form: Form) -> int:
        """Return the boxes in which ``form`` lies."""
        branches, dims = form
        parts = self._branches[branches]
        return self._boxes_of(parts if len(branches) == 1 else parts & self._dims[dims])

    def _boxes_of(self, parts: int) -> int:
        if parts not in self._known:
            found = 0
            for index, boxes in enumerate(self._boxes):
                if parts >> index & 1:
                    found |= boxes
            self._known[parts] = found
        return self._known[parts]

    def counts(self) -> Counter[int]:
        """Return how many forms lie in each set of boxes."""
        found: Counter[int] = Counter()
        several: Counter[int] = Counter()
        for branches, parts in self._branches.items():
            if len(branches) == 1:
                found[self._boxes_of(parts)] += 1
            else:
                several[parts] += 1
        for (parts, count), (also, more) in itertools.product(
            several.items(), Counter(self._dims.values()).items()
        ):
            if parts & also:
                found[self._boxes_of(parts & also)] += count * more
        return found
