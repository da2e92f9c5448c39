"""Small search spaces: one by its decisions, one pair of branches, and a Hypothesis strategy of many."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from skexplore.arch.notation import parse_block
from skexplore.space.decisions import Condition
from skexplore.space.space import Space

WIDTHS = (128, 256, 512, 1024)


def space(decisions: dict[str, tuple], base: str = "k3", name: str = "test") -> Space:
    return Space(name=name, description="", base=parse_block(base), decisions=decisions)


PAIR = space({"branches.2": ("none", "k3d2", "k1"), "branches.2.groups": (32, 64), "reduction": (4, 16)})


def some(*levels):
    return st.lists(st.sampled_from(levels), min_size=1, max_size=2, unique=True).map(tuple)


STAGED = {
    "stages.2.branches.1": some("k1", "k3", "k5"),
    "stages.2.branches.2": some("none", "k3", "k7"),
    "stages.2.branches.2.groups": some(32, 64, 128),
    "stages.3.reduction": some(2, 4, 16, 64),
    "stages.3.min_dim": some(1, 32, 128, 256),
    "stages.4.fuse": some("select", "sum"),
}
TIED = {
    "branches.1": some("k1", "k3", "k3d2", "k7"),
    "branches.1.groups": some(4, 32, 128),
    "branches.2": some("none", "k3", "k3d2", "k5"),
    "branches.2.groups": some(16, 32, 64),
    "branches.3": some("none", "k1"),
    "reduction": some(1, 4, 16, 64),
    "min_dim": some(1, 32, 64, 256),
    "fuse": some("select", "sum"),
}


@st.composite
def spaces(draw) -> Space:
    choices = TIED | STAGED
    paths = draw(st.lists(st.sampled_from(sorted(choices)), min_size=1, max_size=6, unique=True))
    base = draw(st.sampled_from(["k3", "k3+k5/r2/L64", "k3g128+k7g4+k1/sum"]))
    return space({path: draw(choices[path]) for path in paths}, base=base)


@st.composite
def conditioned_spaces(draw) -> Space:
    """Spaces with up to three conditions, some of which undo each other or never act."""
    plain = draw(spaces())
    conditions = []
    for _ in range(draw(st.integers(0, 3)) if len(plain.decisions) > 1 else 0):
        asked, *changed = draw(st.permutations(sorted(plain.decisions)))[:3]
        when = {asked: tuple(draw(st.lists(st.sampled_from(plain.decisions[asked]), min_size=1, max_size=2)))}
        then = {path: draw(st.sampled_from(plain.decisions[path])) for path in changed}
        conditions.append(Condition(when=when, then=then))
    return replace(plain, conditions=tuple(conditions))
