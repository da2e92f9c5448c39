"""A block as a picture: input, split, fuse, select, output (paper, Fig. 1), written as SVG text.

The picture has no colours or ids of its own, so that many can stand in one page and take its text colour;
``standalone`` makes a file of it that reads on white and on dark pages.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache

from skexplore.arch.backbone import Backbone
from skexplore.arch.backbones import REFERENCE
from skexplore.arch.notation import Blocks, Branch, SKBlock, Widths, format_blocks, per_stage

CHAR, LINE = 6.2, 14  # pixels: a wide character and a line of the 11-pixel text
BOX = LINE * 4 + 8  # height of a box of four lines
GAP, MARGIN = 14, 8
ROW = 800  # a row of panels may be this wide
RADIUS = 7
_ACTS = {"relu": "ReLU", "linear": "no ReLU"}
DOWN = "m-3-5 3 5 3-5"  # head of an arrow that has just come down

# Okabe-Ito: blue and vermilion on white; sky blue and orange, of the same set, where those would be too dark
STYLE = (
    "svg{color:#1f2328;background:#fff}.sk-branch,.sk-own{stroke:#0072B2}.sk-fuse,.sk-row{stroke:#D55E00}"
    ".sk-own-text{fill:#0072B2}.sk-row-text{fill:#D55E00}"
    "@media(prefers-color-scheme:dark){svg{color:#e6edf3;background:#0d1117}"
    ".sk-branch,.sk-own{stroke:#56B4E9}.sk-fuse,.sk-row{stroke:#E69F00}"
    ".sk-own-text{fill:#56B4E9}.sk-row-text{fill:#E69F00}}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Panel:
    """One block drawn: its size in pixels, lines, boxes and text."""

    width: int
    height: int
    body: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """A block drawn: ``svg`` is the text of the picture, which a notebook shows."""

    svg: str

    def _repr_svg_(self) -> str:
        return standalone(self.svg)


def block_svg(blocks: Blocks, reference: Backbone = REFERENCE) -> str:
    """Return the picture of ``blocks`` as a bare inline ``<svg>``, one drawing for each different block.

    Strokes and text are in ``currentColor``, classes begin with ``sk-``. Groups, r, L and d are those of the
    reference. Raises ``UserError`` for a number of blocks that is neither one nor one per stage.
    """
    placed: dict[SKBlock, list[int]] = {}
    for number, block in enumerate(per_stage(blocks, len(reference.stages)), start=1):
        placed.setdefault(_acting(block), []).append(number)
    panels = [_panel(block, tuple(stages), reference) for block, stages in placed.items()]
    x, y, width, row = MARGIN, MARGIN, 0, 0
    drawn = []
    for panel in panels:
        if x > MARGIN and x + panel.width > ROW:
            x, y, row = MARGIN, y + row + 2 * GAP, 0
        drawn.append(f'<g transform="translate({x} {y})">{panel.body}</g>')
        row, width = max(row, panel.height), max(width, x + panel.width)
        x += panel.width + 2 * GAP
    return svg(width + MARGIN, y + row + MARGIN, f"Block {format_blocks(blocks)}", "".join(drawn))


def svg(width: int, height: int, title: str, body: str) -> str:
    """Return an inline ``<svg>`` of this size in pixels; ``title`` is what a screen reader says (plain text)."""
    title = title.replace("&", "&amp;").replace("<", "&lt;")
    return (
        f'<svg class="sk-svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'fill="none" stroke="currentColor" font-family="sans-serif" font-size="11"><title>{title}</title>{body}</svg>'
    )


def standalone(svg: str) -> str:
    """Return an inline ``<svg>`` as the text of a file, with colours for light and for dark pages."""
    head, rest = svg.split(">", 1)
    title, body = rest.split("</title>", 1)
    head = head.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
    return f"{head}>{title}</title><style>{STYLE}</style>{body}\n"


def _acting(block: SKBlock) -> SKBlock:
    """Return ``block`` without r and L where they cannot act: two that differ there look alike."""
    return block if block.selects else SKBlock(branches=block.branches, fuse=block.fuse)


@lru_cache(maxsize=4096)  # blocks per stage share their stages
def _panel(block: SKBlock, stages: tuple[int, ...], reference: Backbone) -> _Panel:
    widths = [reference.sk_widths[number - 1] for number in stages]
    heading = f"{_named(stages, len(reference.stages))}: {_listed(widths)} channels"
    built = reference.scaled(block, stages[0])
    branches = [_branch_lines(branch, depthwise=reference.unit.depthwise) for branch in built.branches]
    side = _wide(*itertools.chain(*branches))
    fuse = _fuse_lines(block, widths) if block.selects else []
    beside = GAP + _wide(*fuse) if fuse else 0
    count = len(block.branches)
    content = count * side + (count - 1) * GAP + beside
    width = max(content, _wide(heading, padding=0))
    left = (width - content) // 2
    middles = [left + number * (side + GAP) + side // 2 for number in range(count)]
    centre = (middles[0] + middles[-1]) // 2

    top = 46 if count == 1 else 58
    shapes = [
        f'<rect class="sk-branch" x="{m - side // 2}" y="{top}" width="{side}" height="{BOX}" rx="4"/>'
        for m in middles
    ]
    text = [_text(width // 2, 11, heading, bold=True), _text(centre, 30, "input")]
    for middle, lines_of in zip(middles, branches, strict=True):
        text += _lines(middle, top, lines_of)
    bottom = top + BOX
    lines = _split(middles, centre, top)
    if block.selects:
        shapes.append(_fuse(middles, bottom, left + content - beside + GAP, beside - GAP))
        text += _lines(left + content - (beside - GAP) // 2, bottom + 32, fuse)
        text.append(
            _text(left + content - (beside - GAP) // 2, bottom + 50 + BOX + 14, "select: weights per channel")
        )
        lines += "".join(f"M{m} {bottom}V{bottom + 43 + BOX}" for m in middles)
        bottom += 50 + BOX + RADIUS
    if count > 1:
        lines += "".join(f"M{m} {bottom}v12" for m in middles) + f"M{middles[0]} {bottom + 12}H{middles[-1]}"
        lines += f"M{centre} {bottom + 12}v8" + _sign(centre, bottom + 20 + RADIUS)
        bottom += 20 + 2 * RADIUS
        if not block.selects:
            text.append(_text(centre + RADIUS + 18, bottom - 3, "sum"))
    lines += f"M{centre} {bottom}v14{DOWN}"
    text.append(_text(centre, bottom + 27, "output"))
    letters = '<g class="sk-text" fill="currentColor" stroke="none" text-anchor="middle">'
    body = f'{"".join(shapes)}<path d="{lines}"/>{letters}{"".join(text)}</g>'
    return _Panel(width=width, height=bottom + 30, body=body)


def _split(middles: list[int], centre: int, top: int) -> str:
    """Return the lines from the input to the branches."""
    if len(middles) == 1:
        return f"M{centre} 35V{top}{DOWN}"
    bus = f"M{centre} 35V{top - 12}M{middles[0]} {top - 12}H{middles[-1]}"
    return bus + "".join(f"M{m} {top - 12}V{top}{DOWN}" for m in middles)


def _fuse(middles: list[int], bottom: int, left: int, width: int) -> str:
    """Return the fuse box, what goes in (the sum of the maps) and what comes out (a weight for each)."""
    centre, top = left + width // 2, bottom + 32
    row = top + BOX + 18  # where the maps meet their weights
    enter = f"M{middles[0]} {bottom + 11}H{centre - RADIUS}" + _sign(centre, bottom + 11)
    enter += f"M{centre} {bottom + 11 + RADIUS}V{top}{DOWN}"
    leave = f"M{centre} {top + BOX}V{row}"
    ends = [centre, *(m + RADIUS for m in reversed(middles))]
    starts = [centre, *(m - RADIUS for m in reversed(middles))]
    leave += "".join(f"M{a} {row}H{b}m5-3-5 3 5 3" for a, b in zip(starts, ends[1:], strict=False))
    times = "".join(_sign(m, row, times=True) for m in middles)
    dots = "".join(f'<circle cx="{m}" cy="{bottom + 11}" r="2"/>' for m in middles)
    return (
        f'<g fill="currentColor" stroke="none">{dots}</g>'
        f'<g class="sk-fuse"><rect x="{left}" y="{top}" width="{width}" height="{BOX}" rx="4"/>'
        f'<path d="{enter}{leave}{times}"/></g>'
    )


def _sign(x: int, y: int, *, times: bool = False) -> str:
    """Return a circle with a plus or a times in it, as part of a path."""
    circle = f"M{x - RADIUS} {y}a7 7 0 1 0 14 0a7 7 0 1 0-14 0"
    return circle + ("m4-3 6 6m0-6-6 6" if times else "m3 0h8m-4-4v8")


def _branch_lines(branch: Branch, *, depthwise: bool) -> list[str]:
    side = branch.receptive_field
    groups = f"{branch.groups} groups" if branch.groups > 1 else "1 group"
    return [
        f"{branch.kernel} × {branch.kernel}",
        f"dilation {branch.dilation}",
        f"sees {side} × {side}",
        ("depthwise" if depthwise else groups) + (f", {_ACTS[branch.act]}" if branch.act else ""),
    ]


def _fuse_lines(block: SKBlock, widths: Widths) -> list[str]:
    dims = [tuple(map(block.dim, of_stage)) for of_stage in widths]
    return [
        "fuse: s = pixel mean",
        f"fc: d = {_listed(dims)}",
        f"r = {block.reduction}, L = {block.min_dim}",
        "softmax over branches",
    ]


def _named(stages: tuple[int, ...], count: int) -> str:
    if len(stages) == count:
        return "all stages"
    if len(stages) == 1:
        return f"stage {stages[0]}"
    together = stages[-1] - stages[0] + 1 == len(stages) > 1
    many = ", ".join(map(str, stages))
    return f"stages {stages[0]}-{stages[-1]}" if together else f"stages {many}"


def _listed(numbers: Widths) -> str:
    """Return a number of each stage, or several where its units differ."""
    return ", ".join("/".join(map(str, of_stage)) for of_stage in numbers)


def _wide(*lines: str, padding: int = 14) -> int:
    """Return the width in pixels (even) of a box that holds these lines."""
    return 2 * round((max(map(len, lines)) * CHAR + padding) / 2)


def _lines(x: int, top: int, lines: list[str]) -> list[str]:
    """Return the lines of a box, centred at ``x``; the first is its heading."""
    return [
        _text(x, top + LINE * number, line, bold=number == 1) for number, line in enumerate(lines, start=1)
    ]


def _text(x: int, y: int, line: str, *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x}" y="{y}"{weight}>{line}</text>'
