"""Networks of which the body is chosen too: blocks in another network than the reference, as text and as proxies."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from skexplore.arch.architecture import Architecture
from skexplore.arch.backbone import Backbone
from skexplore.arch.backbones import get_backbone, is_proxy, proxy_text
from skexplore.arch.notation import Blocks, format_blocks, parse_blocks
from skexplore.arch.reference import canonical_at_reference, get_reference
from skexplore.errors import UserError

_IN = " in "
MOST_UNITS = 9  # of a stage of a proxy: its name has one digit for each


def format_network(blocks: Blocks, body: Backbone, reference: Backbone) -> str:
    """Return the notation of ``blocks``; ``BLOCKS in BODY`` where their body is not the reference."""
    text = format_blocks(blocks)
    return text if body == reference else f"{text}{_IN}{body.name}"


def says_body(text: str) -> bool:
    """Whether ``text`` is ``BLOCKS in BODY``."""
    return _IN in text


def blocks_of(text: str) -> str:
    """Return the notation of the blocks of ``BLOCKS`` or ``BLOCKS in BODY``."""
    return text.partition(_IN)[0]


def body_of(text: str, reference: Backbone) -> Backbone:
    """Return the body in which the blocks of ``text`` stand, the reference if it names none; raises ``UserError``."""
    _, said, name = text.partition(_IN)
    body = get_reference(name.strip()) if said else reference
    return reference if replace(body, name="") == replace(reference, name="") else body


@lru_cache(maxsize=65536)  # records are read again and again
def read_network(text: str, reference: Backbone) -> Architecture:
    """Return the network of ``BLOCKS`` or ``BLOCKS in BODY``, in its one spelling there; raises ``UserError``."""
    body = body_of(text, reference)
    blocks = parse_blocks(blocks_of(text))
    return Architecture(blocks=canonical_at_reference(blocks, body), backbone=body)


@lru_cache(maxsize=1024)
def varied_as(proxy: str, body: Backbone, reference: Backbone) -> str:
    """Return the name of the proxy for ``body``, if that called ``proxy`` stands for ``reference``.

    It is as much deeper and wider: the units of a stage are multiplied by the body's there and divided by the
    reference's, rounded, one at least; channels by the ratio of those of the first stages. Where numbers of stages
    differ, depths are compared by the means. Raises ``UserError`` for what is no proxy, for channels that are not
    whole, and for more units or channels than its name can say.
    """
    if body == reference:
        return proxy
    if not is_proxy(proxy):
        raise UserError(
            f"backbone {proxy}: has one depth and width, and the space decides them; take a proxy such as 4x4d-1221-c32"
        )
    own = get_backbone(proxy)
    deeper = _ratios([s.depth for s in body.stages], [s.depth for s in reference.stages], len(own.stages))
    depths = [max(1, round(stage.depth * ratio)) for stage, ratio in zip(own.stages, deeper, strict=True)]
    wider = Fraction(body.widths[0], reference.widths[0])
    first = "cardinality" if own.unit.depthwise else "group_width"
    channels = {first: getattr(own.stages[0], first), "stem": own.stem.width, "out": own.stages[0].out}
    widened = {name: wider * value for name, value in channels.items()}
    most = {first: 99, "stem": 999, "out": 9999}
    if max(depths) > MOST_UNITS or any(
        value.denominator > 1 or value > most[at] for at, value in widened.items()
    ):
        raise UserError(
            f"backbone {body.name}: its proxy would have {'-'.join(map(str, depths))} units and "
            f"{', '.join(f'{float(value):g}' for value in widened.values())} channels where {proxy} has "
            f"{', '.join(map(str, channels.values()))}; they must be whole and at most "
            f"{', '.join(map(str, most.values()))}, and units at most {MOST_UNITS}; take other depths or widths, or "
            "another proxy"
        )
    whole = {name: int(value) for name, value in widened.items()}
    return proxy_text(proxy, depths=depths, **whole)


def _ratios(own: list[int], usual: list[int], stages: int) -> list[Fraction]:
    if len(own) == len(usual) == stages:
        return [Fraction(a, b) for a, b in zip(own, usual, strict=True)]
    return [Fraction(sum(own) * len(usual), len(own) * sum(usual))] * stages


def deepened(proxy: str, reference: Backbone, units: int) -> str:
    """Return the name of a proxy like ``proxy`` with so many ``units`` for each of the reference's shortest stage.

    Units of a stage are rounded up, and 9 at most. A proxy of another number of stages has ``units`` in each.
    """
    usual, stages = [stage.depth for stage in reference.stages], len(get_backbone(proxy).stages)
    depths = usual if len(usual) == stages else [1] * stages
    return proxy_text(proxy, depths=[min(MOST_UNITS, -(-units * depth // min(depths))) for depth in depths])
