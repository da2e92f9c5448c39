"""``compare``: whether searches differ by more than the luck of their seeds."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skexplore.cli.common import (
    DECIDE,
    GFLOPS,
    JsonOption,
    opening,
    pictures,
    print_next,
    print_prose,
    writable,
)
from skexplore.cli.completion import studies
from skexplore.errors import UserError

if TYPE_CHECKING:
    from skexplore.analysis import Compared

app = typer.Typer(rich_markup_mode=None)


@app.command(rich_help_panel=DECIDE)
def compare(
    studies: Annotated[
        list[str],
        typer.Argument(
            metavar="STUDY STUDY...",
            autocompletion=studies,
            help="Names of studies or archives, or their folders.",
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder to write; default reports/compare-FIRST.", show_default=False)
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="ERROR,GFLOPS",
            help="Point for hypervolumes, such as 0.9,4.5.  [default: error of chance, the budget]",
            show_default=False,
        ),
    ] = None,
    picture: Annotated[
        bool | None,
        typer.Option(
            help="Write compare.svg and compare.png.  [default: where a Chromium and skexplore[picture] are installed]",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare searches at equal cost; those that differ in their seed alone are repeats of one group."""
    from skexplore.analysis import compare as compare_studies
    from skexplore.report import comparison_findings, comparison_picture, write_comparison, write_overview
    from skexplore.study import check_name, load_study

    point = None if reference is None else _point(reference)
    found = compare_studies([load_study(name) for name in studies], point)
    first = found.groups[0].studies[0].spec.name if out is None else ""
    folder = Path("reports") / check_name(f"compare-{first}") if out is None else out
    with writable(folder):
        paths = write_comparison(found, folder)
        paths += pictures(folder / "compare", lambda kind: comparison_picture(found, kind), asked=picture)
        if out is None:
            paths.append(write_overview(folder.parent))
    if as_json:
        print(json.dumps(comparison_findings(found)))
    else:
        _print(found)
    for path in paths:
        print(path, file=sys.stderr if as_json else sys.stdout)
    print_next(opening(folder / "compare.html"), file=sys.stderr)


def _point(text: str) -> tuple[float, float]:
    """Return the error and GFLOPs that ``text`` means; raises ``UserError``."""
    try:
        error, gflops = map(float, text.split(","))
    except ValueError:
        error = gflops = math.nan
    if not (0 < error <= 1 and 0 < gflops < math.inf):
        raise UserError(
            f"--reference {text}: must be an error above 0 and up to 1 (0.9 is 90 %) and a number of GFLOPs, "
            "joined by a comma: 0.9,4.5"
        )
    return error, gflops


def _print(found: Compared) -> None:
    from skexplore.cli.display import print_table
    from skexplore.report import comparison_findings

    said = comparison_findings(found)
    print_table([_row(group) for group in said["groups"]], right=("searches", "val error", "hypervolume"))
    point = said["reference"]
    print_prose(
        f"\nAt equal images, {found.images:,} of each search. Hypervolume: share of the rectangle below "
        f"{100 * point['error']:.2f} % error and {point['gflops']:.6g} GFLOPs ({point['why']}). {GFLOPS}"
    )
    for sentence in (*(pair["said"] for pair in said["pairs"]), *said["differences"], *said["notes"]):
        print_prose(sentence)
    print()


def _row(group: dict[str, Any]) -> dict[str, str]:
    errors, volumes = group["incumbent_at_equal"], group["hypervolume_share_at_equal"]
    alone = len(group["studies"]) == 1
    return {
        "group": group["label"],
        "searches": str(len(group["studies"])),
        "val error": f"{_percent(errors['median'])} %",
        "band": "" if alone else f"{_percent(errors['low'])} to {_percent(errors['high'])}",
        "hypervolume": f"{_percent(volumes['median'])} %",
        "its band": "" if alone else f"{_percent(volumes['low'])} to {_percent(volumes['high'])}",
    }


def _percent(value: float | None) -> str:
    return "none" if value is None else f"{100 * value:.2f}"
