"""The page that all reports of a folder are found on: a card for each, with its front or means in small."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skexplore.arch import flops_unit
from skexplore.files import write_atomic
from skexplore.report.write import FILTERS, html_environment
from skexplore.words import counted

WIDTH, HEIGHT, MARGIN = 200, 96, 8  # of a thumbnail, in pixels
PAGES = ("index.html", "compare.html")
Found = Mapping[str, Any]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A report as the overview shows it.

    page: its path below the folder of reports. said: sentences. line, dots, bars: what its thumbnail draws, in pixels
    from the left and the top: a staircase, points, and intervals from end to end.
    """

    name: str
    page: str
    kind: str
    said: tuple[str, ...]
    state: str = ""
    line: tuple[Point, ...] = ()
    dots: tuple[Point, ...] = ()
    bars: tuple[tuple[Point, Point], ...] = ()


def write_overview(folder: Path) -> Path:
    """Write ``index.html`` of a folder of reports and return its path; the same reports give the same bytes.

    A folder in it whose ``findings.json`` is no report's is left out. Raises ``OSError`` if it cannot be written.
    """
    cards = list(_cards(folder))
    template = html_environment().get_template("overview.html.j2")
    page = folder / "index.html"
    write_atomic(page, template.render(cards=cards, width=WIDTH, height=HEIGHT))
    return page


def _cards(folder: Path) -> Iterator[Card]:
    for path in sorted(folder.glob("*/findings.json")):
        page = next((name for name in PAGES if (path.parent / name).exists()), None)
        if page is None:
            continue
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            card = _kind(found)(found)
        except (ValueError, LookupError, TypeError, AttributeError, OSError):
            continue  # somebody else's file of that name, or one half written
        yield Card(name=path.parent.name, page=f"{path.parent.name}/{page}", **card)


def _kind(found: Found) -> Callable[[Found], dict[str, Any]]:
    if "groups" in found:
        return _comparison
    if "networks" in found:
        return _fits
    if "variants" in found:
        return _ablation
    return _search


def _search(found: Found) -> dict[str, Any]:
    counts, best, front = found["counters"], found["best"], found["front"]
    said = []
    if best:
        interval = (
            "" if best["low"] is None else f" (90 % {_percent(best['low'])} to {_percent(best['high'])})"
        )
        said.append(f"{best['block']}: {_percent(best['estimate'])} %{interval}")
        unit = flops_unit(best["ref_macs"])
        size = f"{unit.of(best['ref_macs'])} {unit.name}"
        said.append(f"{size}, {counted(len(front), 'point')} on the front")
    said.append(f"{counts['trained']} of {counts['target']} trained")
    return {
        "kind": "own trainings" if found["spec"]["sampler"] == "none" else "search",
        "state": found["state"],
        "said": tuple(said),
        **front_picture([(row["ref_macs"], row["estimate"]) for row in front]),
    }


def front_picture(points: Sequence[Point]) -> dict[str, tuple[Point, ...]]:
    """Return ``line`` and ``dots`` of a front in small, of its costs and errors in the order of costs."""
    corners = [
        point
        for before, point in zip([None, *points], points, strict=False)
        for point in _step(before, point)
    ]
    return {"line": _scaled(corners, corners), "dots": _scaled(points, corners)}


def _step(before: Point | None, point: Point) -> list[Point]:
    return [point] if before is None else [(point[0], before[1]), point]


def _ablation(found: Found) -> dict[str, Any]:
    rows = [row for row in found["variants"] if row["mean"] is not None and not row["same_as"]]
    means = [(number, row["mean"]) for number, row in enumerate(rows)]
    ends = [((at, row["low"]), (at, row["high"])) for at, row in enumerate(rows) if row["low"] is not None]
    every = [*means, *(point for pair in ends for point in pair)]
    confirms = "finalists" in found
    said = [found["description"], *(_finalists(found) if confirms else _claims(found))[:1]]
    return {
        "kind": "confirmation" if confirms else "ablation",
        "state": found["state"],
        "said": tuple(map(str, said)),
        "dots": _scaled(means, every),
        "bars": tuple((low, high) for low, high in (_scaled(pair, every) for pair in ends)),
    }


def _fits(found: Found) -> dict[str, Any]:
    rows = found["networks"]
    means = [(number, row["mean"]) for number, row in enumerate(rows)]
    ends = [((at, row["low"]), (at, row["high"])) for at, row in enumerate(rows) if row["low"] is not None]
    every = [*means, *(point for pair in ends for point in pair)]
    part = "test" if found["part"] == "test" else "validation"
    return {
        "kind": "whole networks",
        "state": found["state"],
        "said": (found["said"], *(f"{row['name']}: {_percent(row['mean'])} % ({part})" for row in rows[:3])),
        "dots": _scaled(means, every),
        "bars": tuple((low, high) for low, high in (_scaled(pair, every) for pair in ends)),
    }


def _claims(found: Found) -> list[str]:
    return [each for each in found["statements"] if "distinguishable" in each] or found["statements"]


def _finalists(found: Found) -> list[str]:
    return [
        f"{row['variant']}: {_percent(row['test_mean'])} % of the test set, {row['to_paper_verdict']}"
        for row in found["finalists"]
        if row["role"] == "finalist" and row["test_mean"] is not None
    ]


def _comparison(found: Found) -> dict[str, Any]:
    medians = [
        f"{each['label']}: {_percent(each['incumbent_at_equal']['median'])} %" for each in found["groups"]
    ]
    return {"kind": "comparison", "said": (f"at {found['images']:,} images each", *medians)}


def _scaled(points: Sequence[Point], every: Sequence[Point]) -> tuple[Point, ...]:
    """Return ``points`` in pixels of a thumbnail that holds ``every`` one; errors rise upwards."""
    if not every:
        return ()
    xs, ys = [x for x, _ in every], [y for _, y in every]

    def pixel(value: float, among: Sequence[float], room: int) -> float:
        width = max(among) - min(among)
        share = 0.5 if width == 0 else (value - min(among)) / width
        return round(MARGIN + share * (room - 2 * MARGIN), 1)

    return tuple((pixel(x, xs, WIDTH), HEIGHT - pixel(y, ys, HEIGHT)) for x, y in points)


def _percent(value: float | None) -> str:
    return str(FILTERS["pct"](value))
