"""Where a block stands among the rows of the paper's tables, as a picture over GFLOPs and #P (SVG text)."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass

from skexplore.arch import REFERENCE, Backbone, Blocks, Cost, FlopsUnit, cost, flops_unit, format_blocks, svg
from skexplore.paper.tables import PublishedRow, rows_beside

LEFT, TOP, WIDE, HIGH = 44, 44, 380, 270  # pixels: where the plot begins, and its size
KEY = LEFT + WIDE + 28  # where the list of rows begins
CIRCLE = 9
LINE = 15
LETTERS = 44  # in a line of the list
SPARE = 0.08  # of the span of the data, left empty on each side


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axis:
    """A linear axis from ``low`` to ``high`` over ``pixels``, upwards if ``up``."""

    low: float
    high: float
    start: int
    pixels: int
    up: bool
    unit: FlopsUnit | None = None

    @property
    def flops(self) -> FlopsUnit:
        """The unit of an axis of multiply-adds."""
        assert self.unit is not None
        return self.unit

    def at_macs(self, macs: float) -> int:
        return self.at(macs / self.flops.scale)

    def at(self, value: float) -> int:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + self.pixels * (1 - share if self.up else share))

    def ticks(self) -> list[float]:
        rough = (self.high - self.low) / 5
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor >= rough)
        return [step * n for n in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]


def place_svg(blocks: Blocks, reference: Backbone = REFERENCE) -> str:
    """Return the picture as a bare inline ``<svg>``: the block and all rows, at the reference by our own count.

    Rows that would lie on each other share a circle; its number leads to their names beside the plot. Raises
    ``UserError`` for a block that the reference cannot hold.
    """
    own, rows = cost(blocks, reference), rows_beside(reference)
    everything = [own, *(row.ours for row in rows)]
    unit = flops_unit(min(each.macs for each in everything))
    x = _axis([each.macs / unit.scale for each in everything], LEFT, WIDE, up=False, unit=unit)
    y = _axis([_millions(each) for each in everything], TOP, HIGH, up=True)
    circles = _circles(rows, x, y)
    key, bottom = _key(circles)
    height = max(TOP + HIGH + 42, bottom + 8)
    body = (
        f'<path opacity=".35" d="{_grid(x, y)}"/>'
        + _own(own, x, y)
        + "".join(_circle(number, *place) for number, place in enumerate(circles, start=1))
        + f'<g fill="currentColor" stroke="none">{_frame_text(x, y)}{key}</g>'
    )
    return svg(KEY + 290, height, f"Complexity of {format_blocks(blocks)} among published rows", body)


def _millions(own: Cost) -> float:
    return own.params / 1e6


def _axis(values: list[float], start: int, pixels: int, *, up: bool, unit: FlopsUnit | None = None) -> _Axis:
    spare = SPARE * (max(values) - min(values))
    return _Axis(
        low=min(values) - spare, high=max(values) + spare, start=start, pixels=pixels, up=up, unit=unit
    )


def _circles(rows: tuple[PublishedRow, ...], x: _Axis, y: _Axis) -> dict[tuple[int, int], list[PublishedRow]]:
    """Return the rows of each circle by its place; a row that would touch a circle joins it."""
    circles: dict[tuple[int, int], list[PublishedRow]] = {}
    for row in sorted(rows, key=lambda row: (row.ours.macs, row.ours.params)):
        here = (x.at_macs(row.ours.macs), y.at(_millions(row.ours)))
        near = [place for place in circles if math.dist(place, here) < 2 * CIRCLE]
        circles.setdefault(near[0] if near else here, []).append(row)
    return circles


def _circle(number: int, x: int, y: int) -> str:
    return (
        f'<circle class="sk-row" cx="{x}" cy="{y}" r="{CIRCLE}"/><text class="sk-row-text" x="{x}" y="{y + 4}" '
        f'text-anchor="middle" fill="currentColor" stroke="none">{number}</text>'
    )


def _own(own: Cost, x: _Axis, y: _Axis) -> str:
    """Return the block's mark: a diamond around its place, a mark on each axis, and its numbers above."""
    here, there, unit = x.at_macs(own.macs), y.at(_millions(own)), x.flops
    label = f"this block: {own.macs / unit.scale:.3f} {unit.name}, {_millions(own):.2f} M"
    middle = min(max(here, LEFT + 110), LEFT + WIDE - 110)
    return (
        f'<g class="sk-own" stroke-width="2.5"><path d="M{here} {TOP + HIGH + 5}v-12M{LEFT - 5} {there}h12'
        f'M{here} {there - 14}l14 14-14 14-14-14z"/></g>'
        f'<text class="sk-own-text" x="{middle}" y="{TOP - 8}" text-anchor="middle" fill="currentColor" stroke="none" '
        f'font-weight="bold">{label}</text>'
    )


def _grid(x: _Axis, y: _Axis) -> str:
    frame = f"M{LEFT} {TOP}V{TOP + HIGH}H{LEFT + WIDE}"
    down = "".join(f"M{x.at(tick)} {TOP + HIGH}v5" for tick in x.ticks())
    return frame + down + "".join(f"M{LEFT} {y.at(tick)}h-5" for tick in y.ticks())


def _frame_text(x: _Axis, y: _Axis) -> str:
    parts = [
        f'<text x="{x.at(t)}" y="{TOP + HIGH + 18}" text-anchor="middle">{t:.4g}</text>' for t in x.ticks()
    ]
    parts += [f'<text x="{LEFT - 8}" y="{y.at(t) + 4}" text-anchor="end">{t:.4g}</text>' for t in y.ticks()]
    parts.append(
        f'<text x="{LEFT + WIDE // 2}" y="{TOP + HIGH + 36}" text-anchor="middle">'
        f"{x.flops.name} at the reference</text>"
    )
    parts.append('<text x="8" y="16">#P, millions</text>')
    return "".join(parts)


def _key(circles: dict[tuple[int, int], list[PublishedRow]]) -> tuple[str, int]:
    """Return the list of circles, table by table, and the baseline of its last line."""
    y = 16
    parts = [f'<text x="{KEY}" y="{y}" font-weight="bold">Rows of the SKNet paper, by our own count</text>']
    for number, rows in enumerate(circles.values(), start=1):
        y += LINE + 4
        parts.append(
            f'<text class="sk-row-text" x="{KEY + 12}" y="{y}" text-anchor="end" font-weight="bold">{number}</text>'
        )
        lines = []
        for table in dict.fromkeys(row.table for row in sorted(rows, key=lambda row: row.table)):
            names = "; ".join(row.system for row in rows if row.table == table)
            lines += textwrap.wrap(f"Table {table}: {names}", LETTERS) if names else []
        for line in lines:
            parts.append(f'<text x="{KEY + 20}" y="{y}">{line}</text>')
            y += LINE
        y -= LINE
    return "".join(parts), y
