"""How many distinct architectures a space holds, and what they cost, without writing out its combinations.

A distinct architecture is what its stages are: the sorted branches of each, and d of Eq. 4 where
attention acts. Once every decision that ties several stages is settled, stages no longer depend on each
other, and what they can be is a product of sets, a *box*. A space is the union of its boxes.
"""

from __future__ import annotations

import itertools
import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, reduce
from operator import attrgetter

from skexplore.arch import (
    Backbone,
    Blocks,
    Bound,
    Branch,
    Cost,
    Place,
    Sizes,
    SKBlock,
    branch_at_reference,
    canonical_at_reference,
    cost,
    groups_at_reference,
    parse_branch,
    sk_conv_cost,
)
from skexplore.space.decisions import NONE, Level, Target, named_in, resolved, target_of
from skexplore.space.space import Space

Levels = Mapping[str, tuple[Level, ...]]  # what each decision may still be
# sorted branches, d of each SK convolution of other width, stage by stage (none: no attention)
Form = tuple[tuple[Branch, ...], tuple[int, ...]]
MACS: Callable[[Sizes], int] = attrgetter("macs")
MANY = 1_000_000  # branch tuples of a stage, or boxes, above which a space is not taken apart
_KNOBS = ("reduction", "min_dim", "fuse")


class TooManyError(Exception):
    """A space too large to be taken apart."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What one stage (or stages tied together) may be: branches slot by slot, None for no branch; knobs."""

    slots: tuple[frozenset[Branch | None], ...]
    reductions: frozenset[int]
    min_dims: frozenset[int]
    fuses: frozenset[str]

    def extremes(self, reference: Backbone, *, costliest: bool) -> Iterator[SKBlock]:
        """Yield blocks among which is that of least (or most) macs and params.

        Each choice moves both in one direction whatever the others are: kernel and groups through the
        weights, the number of branches, r, L, and attention against the sum. The number does not where branches share
        the channels: there is one block for each number.
        """
        pick = max if costliest else min

        def weight(branch: Branch | None) -> tuple[float, int, int]:
            if branch is None:
                return 0.0, 0, 0
            groups = groups_at_reference(branch, reference)
            return branch.kernel**2 / groups, branch.kernel, branch.dilation

        kept = [[pick(slot, key=weight) for slot in self.slots]]
        if reference.unit.split_input:
            needed = [pick(slot, key=weight) for slot in self.slots if None not in slot]
            others = [pick(slot - {None}, key=weight) for slot in self.slots if None in slot]
            others.sort(key=weight, reverse=costliest)
            kept = [needed + others[:more] for more in range(len(others) + 1) if needed or more]
        for branches in kept:
            yield SKBlock(
                branches=tuple(branch for branch in branches if branch is not None),
                reduction=(min if costliest else max)(self.reductions),
                min_dim=pick(self.min_dims),
                fuse=min(self.fuses) if costliest else max(self.fuses),  # "select" < "sum" in the alphabet
            )


class Part:
    """The distinct forms of ``stages`` of ``reference`` (tied to each other) under some options."""

    def __init__(self, stages: tuple[int, ...], options: Options, reference: Backbone) -> None:
        self.stages, self.reference = stages, reference
        if len(options.reductions) * len(options.min_dims) > MANY:
            raise TooManyError
        found = _branch_tuples(options.slots)
        self.singles = [branches for branches in found if len(branches) == 1]
        self.several = [branches for branches in found if len(branches) > 1]
        widths = widths_of(reference, stages)
        dims: set[tuple[int, ...]] = {()} if "sum" in options.fuses else set()
        if "select" in options.fuses:
            dims |= {
                tuple(max(width // reduction, floor) for width in widths)
                for reduction in options.reductions
                for floor in options.min_dims
            }
        self.dims = sorted(dims) if self.several else []
        self.identity = (stages, tuple(found), tuple(self.dims))

    @property
    def size(self) -> int:
        """Number of distinct forms."""
        return len(self.singles) + len(self.several) * len(self.dims)

    def __getitem__(self, index: int) -> Form:
        if index < len(self.singles):
            return self.singles[index], ()
        branches, dims = divmod(index - len(self.singles), len(self.dims))
        return self.several[branches], self.dims[dims]

    def __contains__(self, form: Form) -> bool:
        branches, dims = form
        return dims in self.dims and _among(self.several, branches) if dims else self._holds_plain(branches)

    def _holds_plain(self, branches: tuple[Branch, ...]) -> bool:
        if len(branches) == 1:
            return _among(self.singles, branches)
        return () in self.dims and _among(self.several, branches)

    def forms(self) -> Iterator[Form]:
        """Yield every form once."""
        yield from ((branches, ()) for branches in self.singles)
        yield from itertools.product(self.several, self.dims)

    def sizes(self, form: Form) -> Sizes:
        """Return what the SK convolutions of these stages cost."""
        branches, dims = form
        among = len(branches) if self.reference.unit.split_input else 1
        macs = params = activations = 0
        for branch in branches:
            more = _branch_sizes(self.reference, self.stages, branch, among)
            macs, params, activations = macs + more[0], params + more[1], activations + more[2]
        if dims:
            more = _attention_sizes(self.reference, self.stages, len(branches), dims)
            macs, params, activations = macs + more[0], params + more[1], activations + more[2]
        return Sizes(macs, params, activations)

    @cached_property
    def _cheapest(self) -> list[tuple[tuple[Branch, ...], Sizes]]:
        """Each tuple of branches with the least that it costs, whatever d is."""
        attended = {
            count: _least(self._attention(count, dims) for dims in self.dims)
            for count in {len(branches) for branches in self.several if self.dims}
        }
        plain = [(branches, self.sizes((branches, ()))) for branches in self.singles]
        return plain + [
            (branches, _plus(self.sizes((branches, ())), attended[len(branches)]))
            for branches in self.several
            if self.dims
        ]

    def _attention(self, count: int, dims: tuple[int, ...]) -> Sizes:
        return _attention_sizes(self.reference, self.stages, count, dims) if dims else Sizes(0, 0, 0)

    @property
    def least(self) -> Sizes:
        """The least of each cost that a form has."""
        return _least(own for _, own in self._cheapest)

    def without(self, too_much: Callable[[Sizes], bool]) -> Part:
        """Return this part without branches and d of which every form costs ``too_much``."""
        kept = [(branches, own) for branches, own in self._cheapest if not too_much(own)]
        left = copy(self)
        left.__dict__.pop("_cheapest", None)
        left.singles = [branches for branches, _ in kept if len(branches) == 1]
        left.several = [branches for branches, _ in kept if len(branches) > 1]
        bare = {
            count: _least(self.sizes((branches, ())) for branches in left.several if len(branches) == count)
            for count in {len(branches) for branches in left.several}
        }
        left.dims = [
            dims
            for dims in self.dims
            if not all(too_much(_plus(own, self._attention(count, dims))) for count, own in bare.items())
        ]
        return left


def _plus(one: Sizes, other: Sizes) -> Sizes:
    return Sizes(*(a + b for a, b in zip(one, other, strict=True)))


def _least(sizes: Iterable[Sizes]) -> Sizes:
    return Sizes(*map(min, zip(*sizes, strict=True)))


def _sizes_of(own: Cost) -> Sizes:
    return Sizes(own.macs, own.params, own.activations)


def _among(ordered: Sequence[tuple[Branch, ...]], branches: tuple[Branch, ...]) -> bool:
    """Whether ``branches`` is in ``ordered``; there may be hundreds of thousands."""
    at = bisect_left(ordered, branches)
    return at < len(ordered) and ordered[at] == branches


def _branch_tuples(slots: tuple[frozenset[Branch | None], ...]) -> list[tuple[Branch, ...]]:
    """Return the distinct sorted tuples with at most one branch of each slot, in order."""
    # branches compare slowly, whole numbers do not
    coded = sorted({branch for slot in slots for branch in slot if branch is not None})
    code = {branch: number for number, branch in enumerate(coded)}
    found: set[tuple[int, ...]] = {()}
    for slot in slots:
        grown = set(found) if None in slot else set()
        for number in sorted(code[branch] for branch in slot if branch is not None):
            grown.update(tuple(sorted((*before, number))) for before in found)
            if len(grown) > MANY:
                raise TooManyError
        found = grown
    return [tuple(coded[number] for number in numbers) for numbers in sorted(found - {()})]


def widths_of(reference: Backbone, stages: tuple[int, ...]) -> list[int]:
    """Return the widths of the SK convolutions of ``stages``, those of one stage once each."""
    return [width for stage in stages for width in reference.sk_widths[stage - 1]]


def _places(reference: Backbone, stage: int) -> tuple[tuple[int, Place], ...]:
    """Return how many SK convolutions of a stage of the reference stand where."""
    return reference.parts()[stage - 1].places


@lru_cache(maxsize=65536)
def _branch_sizes(reference: Backbone, stages: tuple[int, ...], branch: Branch, among: int) -> Sizes:
    """Return the sizes of one branch of ``among``: where they share the channels, each reads its part."""
    total = Cost()
    for stage in stages:
        built = reference.scaled(SKBlock(branches=(branch,) * among), stage)
        own = SKBlock(branches=built.branches[:1], fuse="sum")
        for count, at in _places(reference, stage):
            read = at.inputs // among if at.split else at.inputs
            total += sk_conv_cost(own, replace(at, inputs=read)) * count
    return _sizes_of(total)


@lru_cache(maxsize=65536)
def _attention_sizes(
    reference: Backbone, stages: tuple[int, ...], count: int, dims: tuple[int, ...]
) -> Sizes:
    """Return what attention over ``count`` branches adds to their plain sum: it depends on d alone."""
    more = [0, 0, 0]
    branches, left = (Branch(kernel=1, groups=1),) * count, list(dims)
    for stage in stages:
        places = _places(reference, stage)
        dim_of = {width: left.pop(0) for width in reference.sk_widths[stage - 1]}
        for times, at in places:
            # an r beyond every width leaves d to the floor
            selecting = SKBlock(branches=branches, reduction=10**6, min_dim=dim_of[at.width])
            own, bare = (
                _sizes_of(sk_conv_cost(each, at)) for each in (selecting, replace(selecting, fuse="sum"))
            )
            more = [was + times * (one - other) for was, one, other in zip(more, own, bare, strict=True)]
    return Sizes(*more)


@lru_cache(maxsize=64)
def frame_sizes(reference: Backbone) -> Sizes:
    """Return what the reference costs without its SK convolutions."""
    stages = tuple(range(1, len(reference.stages) + 1))
    total, branch = _sizes_of(cost("k1", reference)), _branch_sizes(reference, stages, Branch(kernel=1), 1)
    return Sizes(*(one - other for one, other in zip(total, branch, strict=True)))


Box = tuple[Part, ...]


class Layout:
    """Which decision rules what in which stage of a space, and the boxes that follow."""

    def __init__(self, space: Space) -> None:
        self.space = space
        freed = any(target_of(path)[0] is not None for path in space.decisions)
        self.groups = [(stage,) for stage in space.stages] if freed else [space.stages]
        self._by_target = {target_of(path): path for path in space.decisions}
        self._ruling = [self._rules(group[0]) for group in self.groups]
        uses = Counter(path for ruling in self._ruling for path in ruling.values())
        # a decision that acts on two groups makes them depend on each other until it is settled
        self._tying = [path for path in space.decisions if uses[path] > 1]
        self._parts: dict[object, Part] = {}
        self._distinct: dict[object, Part] = {}  # by what they hold: equal parts are one object

    def _rules(self, stage: int) -> dict[Target, str]:
        """Return the decision that rules each target in a stage: its own goes before the tied one."""
        own = {target: path for (at, target), path in self._by_target.items() if at is None}
        return own | {target: path for (at, target), path in self._by_target.items() if at == stage}

    def settings(self, levels: Levels | None = None) -> Iterator[Levels]:
        """Yield what the decisions may be for each outcome of the conditions (once if there are none).

        levels: what may be chosen of each decision, by default all.
        """
        levels = self.space.decisions if levels is None else levels
        named = named_in(self.space.conditions)
        paths = [path for path in self.space.decisions if path in named]
        seen = set()
        for chosen in itertools.product(*(levels[path] for path in paths)):
            settled = resolved(self.space.conditions, dict(zip(paths, chosen, strict=True)))
            key = tuple(settled[path] for path in paths)
            if key not in seen:
                seen.add(key)
                yield {**levels, **{path: (settled[path],) for path in paths}}

    def boxes(self) -> list[Box]:
        """Return the distinct boxes; raises ``TooManyError``."""
        found: dict[tuple[int, ...], Box] = {}
        looked_at = 0
        for levels in self.settings():
            for box in self.boxes_of(levels):
                looked_at += 1
                if looked_at > MANY:
                    raise TooManyError
                found.setdefault(tuple(map(id, box)), box)
        return list(found.values())

    def boxes_of(self, levels: Levels) -> Iterator[Box]:
        """Yield a box for each way to settle the decisions that tie stages; ``levels`` of one setting."""
        for settled in self._settled(levels):
            yield tuple(self._part(number, settled) for number in range(len(self.groups)))

    def holds(self, levels: Levels, forms: list[Form]) -> bool:
        """Whether ``forms``, one of each group, are in a box of ``levels``; ``levels`` of one setting."""
        # most boxes lack the first form already, and their other parts are not even looked up
        return any(
            all(form in self._part(number, settled) for number, form in enumerate(forms))
            for settled in self._settled(levels)
        )

    def _settled(self, levels: Levels, tying: Sequence[str] | None = None) -> Iterator[Levels]:
        """Yield ``levels`` with one level for each of ``tying``, by default all that tie stages, in every way."""
        paths = self._tying if tying is None else tying
        for chosen in itertools.product(*(levels[path] for path in paths)):
            yield {**levels, **{path: (one,) for path, one in zip(paths, chosen, strict=True)}}

    def _part(self, number: int, levels: Levels) -> Part:
        key = (number, *(levels[path] for path in self._ruling[number].values()))
        if key not in self._parts:
            part = Part(self.groups[number], self.options(number, levels), self.space.reference)
            self._parts[key] = self._distinct.setdefault(part.identity, part)
        return self._parts[key]

    def options(self, number: int, levels: Levels) -> Options:
        """Return what group ``number`` may be under ``levels``."""
        ruling, base = self._ruling[number], self.space.base
        slots: list[frozenset[Branch | None]] = []
        for slot in range(1, 9):
            path, groups_path = ruling.get(("branch", slot)), ruling.get(("groups", slot))
            branches: list[Branch | None] = [base.branches[slot - 1] if slot <= len(base.branches) else None]
            if path:
                branches = [None if level == NONE else parse_branch(str(level)) for level in levels[path]]
            groups = [int(level) for level in levels[groups_path]] if groups_path else []
            spelled = (form for branch in branches for form in _spelled(branch, groups))
            slots.append(
                frozenset(form and branch_at_reference(form, self.space.reference) for form in spelled)
            )
        knobs = {name: frozenset({getattr(base, name)}) for name in _KNOBS}
        knobs |= {name: frozenset(levels[ruling[name, 0]]) for name in _KNOBS if (name, 0) in ruling}
        return Options(
            slots=tuple(slot for slot in slots if slot != {None}),
            reductions=knobs["reduction"],
            min_dims=knobs["min_dim"],
            fuses=knobs["fuse"],
        )

    def extreme(self, levels: Levels, *, costliest: bool, by: Callable[[Sizes], int] = MACS) -> Blocks:
        """Return the cheapest (or costliest) blocks of one setting.

        What ties stages need not be settled for it, the same level is best in every stage, but where branches share the
        channels: then how many there are is no cost by itself. by: in which cost; it makes a difference only there.
        """
        pick, reference = max if costliest else min, self.space.reference
        tying = [path for path in self._tying if target_of(path)[1][0] == "branch"]
        settled = self._settled(levels, tying) if reference.unit.split_input else [levels]
        found = []
        for each in settled:
            chosen = [self._best(number, each, by, pick) for number in range(len(self.groups))]
            sizes = [own for own, _ in chosen]
            total = sum(map(by, sizes)), [sum(own) for own in zip(*sizes, strict=True)]
            found.append((total, [block for _, block in chosen]))
        return canonical_at_reference(tuple(pick(found, key=lambda one: one[0])[1]), reference)

    def _best(
        self,
        number: int,
        levels: Levels,
        by: Callable[[Sizes], int],
        pick: Callable[..., tuple[Sizes, SKBlock]],
    ) -> tuple[Sizes, SKBlock]:
        """Return the cheapest block of a group, or with ``max`` as ``pick`` the costliest, after what it costs."""
        reference = self.space.reference
        blocks = self.options(number, levels).extremes(reference, costliest=pick is max)
        sized = [(_sizes(reference, self.groups[number], block), block) for block in blocks]
        return pick(sized, key=lambda one: (by(one[0]), one[0]))


def _sizes(reference: Backbone, stages: tuple[int, ...], block: SKBlock) -> Sizes:
    """Return what the SK convolutions of ``stages`` cost if they are ``block``."""
    total = Cost()
    for stage in stages:
        built = reference.scaled(block, stage)
        total = sum((sk_conv_cost(built, at) * count for count, at in _places(reference, stage)), total)
    return _sizes_of(total)


def _spelled(branch: Branch | None, groups: list[int]) -> Iterator[Branch | None]:
    if branch is None:
        yield None
        return
    plain = replace(branch, dilation=1) if branch.kernel == 1 else branch  # 1x1 has no dilation
    yield from (replace(plain, groups=number) for number in groups) if groups else (plain,)


def box_size(box: Box) -> int:
    """Return the number of architectures in a box."""
    return math.prod(part.size for part in box)


def pruned(boxes: list[Box], bounds: Sequence[Bound]) -> list[Box]:
    """Return ``boxes`` without what exceeds a limit of ``bounds`` beside the cheapest of all other stages.

    All that keeps the limits is left; what is left keeps them more often.
    """
    limits = [bound for bound in bounds if bound.upper]
    boxes = [box for box in boxes if box_size(box)]
    if not limits or not boxes:
        return boxes
    sides = [{id(part): part for part in parts}.values() for parts in zip(*boxes, strict=True)]
    least = [_least(part.least for part in parts) for parts in sides]
    left: dict[int, Part] = {}
    for number, parts in enumerate(sides):
        beside = reduce(_plus, least[:number] + least[number + 1 :], frame_sizes(boxes[0][0].reference))

        def too_much(own: Sizes, beside: Sizes = beside) -> bool:
            return not all(bound.keeps(_plus(beside, own)) for bound in limits)

        left |= {at: part.without(too_much) for at, part in zip(map(id, parts), parts, strict=True)}
    found = [tuple(left[id(part)] for part in box) for box in boxes]
    return [box for box in found if box_size(box)]


def enumerate_costs(boxes: list[Box]) -> Iterator[Sizes]:
    """Yield what every distinct architecture of the union of ``boxes`` costs."""
    return (sizes for _, sizes in enumerate_forms(boxes))


def enumerate_forms(boxes: list[Box]) -> Iterator[tuple[tuple[Form, ...], Sizes]]:
    """Yield the forms and sizes of every distinct architecture of the union of ``boxes``, each once."""
    frame = frame_sizes(boxes[0][0].reference)
    seen: set[tuple[int, ...]] = set()
    numbers: list[dict[Form, int]] = [{} for _ in boxes[0]]
    coded: dict[int, list[tuple[int, Sizes, Form]]] = {}
    for box in boxes:
        for number, part in zip(numbers, box, strict=True):
            if id(part) not in coded:
                coded[id(part)] = [
                    (number.setdefault(form, len(number)), part.sizes(form), form) for form in part.forms()
                ]
        for chosen in itertools.product(*(coded[id(part)] for part in box)):
            if len(boxes) > 1:
                key = tuple([form[0] for form in chosen])
                if key in seen:
                    continue
                seen.add(key)
            macs, params, activations = frame
            for _, more, _ in chosen:
                macs += more[0]
                params += more[1]
                activations += more[2]
            yield tuple([form[2] for form in chosen]), Sizes(macs, params, activations)
