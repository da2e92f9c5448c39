"""How a small network for images of 32 pixels stands for a reference."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from skexplore.arch.backbone import Backbone
from skexplore.arch.costs import cost
from skexplore.arch.notation import REFERENCE_CARDINALITY
from skexplore.arch.reference import counts_groups
from skexplore.errors import UserError

_WIDTHS = range(4, 97, 4)  # channels of a proxy's first stage that are looked at
_BLOCK = "k3+k3d2"
STAGES = range(3, 6)  # that a proxy may have


def stand_in(proxy: Backbone, reference: Backbone) -> Backbone:
    """Return ``proxy`` as it stands for ``reference``, with the same blocks in the same proportions.

    Where groups say how wide the reference is, they and L are scaled with the cardinality, in a proxy of 1 too.
    Else, at cardinality 1 and in depthwise units, L is multiplied by the ratio of the mean widths, so that d/C
    stays as it is, and activation and shortcut are the reference's. Raises ``UserError`` for a network of
    another kind, or of another number of stages: it would measure other blocks.
    """
    if counts_groups(reference):
        alone = proxy.cardinality == 1 and not proxy.unit.depthwise
        return replace(proxy, floor_share=Fraction(1, REFERENCE_CARDINALITY)) if alone else proxy
    alike = (proxy.unit.kind, proxy.unit.split_input) == (reference.unit.kind, reference.unit.split_input)
    if not alike or counts_groups(proxy):
        kind = f"{reference.unit.kind} units" + (
            ", of which branches share the channels" * reference.unit.split_input
        )
        raise UserError(
            f"backbone {proxy.name}: does not stand for the reference {reference.name}, which has {kind}"
            f"{'' if reference.unit.depthwise else ' and no groups'}; leave --backbone out, or give a proxy such as "
            f"{_named(reference, 24, None)}"
        )
    stages = len(reference.stages)
    if len(proxy.stages) != stages and stages in STAGES:
        raise UserError(
            f"backbone {proxy.name}: its {len(proxy.stages)} stages do not stand for the {stages} of the reference "
            f"{reference.name}; leave --backbone out, or give a proxy such as {_named(reference, 24, None)}"
        )
    share = Fraction(sum(proxy.widths), len(proxy.widths)) / Fraction(
        sum(reference.widths), len(reference.widths)
    )
    return replace(proxy, unit=reference.unit, floor_share=share)


@lru_cache(maxsize=64)
def proxy_name(reference: Backbone, like: Backbone) -> str:
    """Return the name of the proxy that stands for ``reference`` as ``like`` stands for SKNet-50.

    It has the reference's kind of units, one in each stage (four stages where the reference has more than five), and
    the stem of ``like``; of these networks it is the one whose multiply-adds with the paper's block are nearest to
    those of ``like``. Raises ``UserError`` where ``like`` has other than one unit a stage.
    """
    if counts_groups(reference):
        return like.name
    if any(stage.depth > 1 for stage in like.stages):
        raise UserError(
            f"{like.name} stands for networks with groups alone, not for the reference {reference.name}; take the "
            "profile quick or standard, or give --backbone"
        )
    aim = cost(_BLOCK, like).macs
    names = [_named(reference, width, like) for width in _WIDTHS]
    return min(names, key=lambda name: abs(math.log(cost(_BLOCK, name).macs / aim)))


def _named(reference: Backbone, width: int, like: Backbone | None) -> str:
    """Return the name of the proxy whose first stage is ``width`` channels wide."""
    unit, stages, plain = reference.unit, len(reference.stages), reference.unit.kind == "bottleneck"
    first = reference.stages[0]
    return "".join(
        (
            f"{width}x1d" if unit.depthwise else f"1x{width}d",
            f"-{'1' * (stages if stages in STAGES else 4)}",
            f"-c{like.stem.width}" if like else "",
            f"-o{width * first.out // first.width}" if plain else "",
            "-s2" if like and like.stem.stride == 2 else "",
            "" if plain else f"-{unit.kind}",
            "-split" if unit.split_input else "",
        )
    )
