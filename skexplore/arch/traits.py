"""What a block is made of, one value for each decision: for tables, filters and plots."""

from __future__ import annotations

from collections.abc import Callable

from skexplore.arch.backbone import Backbone
from skexplore.arch.backbones import REFERENCE
from skexplore.arch.notation import Blocks, SKBlock

Trait = int | str | None


def traits_of(blocks: Blocks, reference: Backbone = REFERENCE, *, bodies: bool = False) -> dict[str, Trait]:
    """Return the traits of ``blocks`` at the reference by name; where stages differ, theirs are joined by ``;``.

    M: number of branches. kernels, groups: of each branch in turn, joined by ``+`` (``3+3d2``; one number of groups if
    all branches have it, None in depthwise units). r, L: reduction and floor of Eq. 4, None without attention. fuse:
    ``select``, ``sum``, or ``none`` of one branch. body, where ``bodies`` are chosen: the name of ``reference``.
    """
    built = reference.place(blocks)
    found = {name: _of_stages([trait(block) for block in built]) for name, trait in TRAITS.items()}
    found |= {"groups": None} if reference.unit.depthwise else {}
    return found | ({"body": reference.name} if bodies else {})


def _of_stages(values: list[Trait]) -> Trait:
    if len(set(values)) == 1:
        return values[0]
    return ";".join("none" if value is None else str(value) for value in values)


def _kernels(block: SKBlock) -> Trait:
    parts = [f"{b.kernel}{f'd{b.dilation}' if b.dilation > 1 else ''}{b.act}" for b in block.branches]
    return "+".join(parts)


def _groups(block: SKBlock) -> Trait:
    found = [branch.groups for branch in block.branches]
    return found[0] if len(set(found)) == 1 else "+".join(map(str, found))


TRAITS: dict[str, Callable[[SKBlock], Trait]] = {
    "M": lambda block: len(block.branches),
    "kernels": _kernels,
    "groups": _groups,
    "r": lambda block: block.reduction if block.selects else None,
    "L": lambda block: block.min_dim if block.selects else None,
    "fuse": lambda block: block.fuse if len(block.branches) > 1 else "none",
}
