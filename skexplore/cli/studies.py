"""The commands about finished and running studies: status, archive, report, export, verify."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skexplore.cli.common import (
    DECIDE,
    SEARCH,
    TAKE,
    JsonOption,
    interruptible,
    opening,
    pictures,
    print_next,
    print_prose,
    printable,
    writable,
)
from skexplore.cli.completion import studies
from skexplore.errors import UserError
from skexplore.words import chance_words

if TYPE_CHECKING:
    from skexplore.study import Fit, Study

app = typer.Typer(rich_markup_mode=None)
StudyArgument = Annotated[
    str,
    typer.Argument(
        metavar="STUDY", autocompletion=studies, help="Name of a study or archive, or its folder."
    ),
]


@app.command(rich_help_panel=SEARCH)
def status(
    study: Annotated[
        str | None,
        typer.Argument(metavar="[STUDY]", autocompletion=studies, help="A study; without it, all of them."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print how far a study is and what it found; without a name, all studies under studies/."""
    from skexplore.cli.display import print_table
    from skexplore.study import known_studies, load_study, status_row

    said = status_row if as_json else _status_in_words
    one = load_study(study) if study else None
    rows = [said(one)] if one else [_row_or_reason(path, said) for path in known_studies()]
    if as_json:
        print(json.dumps(rows[0] if one else rows))
    elif not rows:
        print("no studies here yet; begin one with: skexplore search --budget-gflops 4.5")
    elif one:
        for name, value in rows[0].items():
            print(f"{name:<15} {value}")
        print_next(_next_of(one, str(study)))
    else:
        shown = ("study", "state", "trained", "target", "best_block", "best_val_error")
        print_table([{name.replace("_", " "): row.get(name, "") for name in shown} for row in rows])
        print_next("skexplore status STUDY")


BELIEVED = (
    "best_low",
    "best_high",
    "beats_paper",
    "beats_plain",
    "may_be_best",
)  # not known of every best block


def _status_in_words(study: Study) -> dict[str, str]:
    """Return the status of a study as the report writes it; JSON has the values as they are."""
    from skexplore.study import status_row

    missing = (
        "none yet" if study.spec.searches else "not a search" if study.spec.ablation else "own trainings"
    )
    row = status_row(study)
    return {
        name: _said(name, value, searches=study.spec.searches)
        if value is not None
        else "not known"
        if name in BELIEVED and row["best_block"]
        else missing
        for name, value in row.items()
    }


def _said(name: str, value: object, *, searches: bool) -> str:
    if name in ("best_val_error", "best_low", "best_high"):
        return f"{100 * float(str(value)):.2f} %"
    if name in ("beats_paper", "beats_plain"):
        return f"with a chance {chance_words(float(str(value)))}"
    if isinstance(value, list):
        return ", ".join(value)
    if name == "seconds":
        return f"{float(str(value)):.0f} (of training{', anchors included' if searches else ''}, summed over workers)"
    return f"{value:,}{' (anchors included)' if searches else ''}" if name == "images" else str(value)


def _next_of(study: Study, typed: str) -> str:
    """Return the command that goes on with a study: its own where it was interrupted here, else its report."""
    if study.state == "interrupted" and study.command and not study.archived:
        return printable(study.command)
    return f"skexplore report {shlex.quote(typed)}"


def _row_or_reason(folder: Path, said: Callable[[Study], dict[str, Any]]) -> dict[str, Any]:
    """Return the status of a study, or why it cannot be read: one bad study must not hide the others."""
    from skexplore.study import load_study

    try:
        return said(load_study(str(folder)))
    except UserError as error:
        return {"study": folder.name, "state": f"unreadable: {error}"}


@app.command(rich_help_panel=DECIDE)
def predict(
    study: StudyArgument,
    blocks: Annotated[
        list[str], typer.Argument(metavar="BLOCK...", help="Blocks of the study's space, in notation.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Print what a search believes of the errors of blocks, trained or not, with 90 % intervals."""
    from skexplore.cli.display import print_table
    from skexplore.study import load_study

    searched = load_study(study)
    found = [
        (searched.spec.text_of(searched.spec.at_reference(each)), searched.predict(each)) for each in blocks
    ]
    if as_json:
        print(json.dumps([{"block": block} | asdict(each) for block, each in found]))
        return
    print_table(
        [
            {
                "block": block,
                "believed error": f"{100 * each.estimate:.2f} %",
                "90 % interval": "not known"
                if each.low is None or each.high is None
                else f"{100 * each.low:.2f} to {100 * each.high:.2f} %",
                "trainings": str(each.trainings),
            }
            for block, each in found
        ]
    )
    print_prose(
        f"\nOf networks in the proxy {searched.spec.backbone} after its training, by what {study} trained."
    )


@app.command(rich_help_panel=TAKE)
def archive(study: StudyArgument) -> None:
    """Write study.json and records.jsonl of a study, the form in which evidence is kept and shared."""
    from skexplore.study import archive as write_archive, study_folder

    with writable(study_folder(study), "make room, or allow writing there"):
        paths = write_archive(study)
    for path in paths:
        print(path)
    print_next(f"skexplore report {shlex.quote(study)}", file=sys.stderr)


@app.command(rich_help_panel=DECIDE)
def report(
    study: StudyArgument,
    beside: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[STUDY...]",
            autocompletion=studies,
            help="Comparable studies to draw in its plots too.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder to write; default reports/STUDY.")] = None,
    picture: Annotated[
        bool | None,
        typer.Option(
            help="Write pareto.svg and pareto.png (of an ablation effects.svg and effects.png).  [default: where a "
            "Chromium and skexplore[picture] are installed]",
            show_default=False,
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Write it again every ten seconds until the study is done.")
    ] = False,
) -> None:
    """Write the report of a study: one HTML page, Markdown, CSV and JSON; other studies are drawn in its plots too."""
    from skexplore.cli.following import follow
    from skexplore.report import write_overview, write_report
    from skexplore.study import find_fits, load_study

    if fits := find_fits([study, *(beside or [])]):
        _report_fits(fits, [study, *(beside or [])], out, picture=picture, watch=watch)
        return
    if watch:
        with writable(out or Path("reports")), interruptible(print, ""):
            follow(study, beside or [], out or Path("reports") / load_study(study).spec.name)
    loaded, others = load_study(study), [load_study(name) for name in beside or []]
    folder = out or Path("reports") / loaded.spec.name
    with writable(folder):
        for path in write_report(loaded, folder, others):
            print(path)
        name, draw = _picture(loaded, others)
        for path in pictures(folder / name, draw, asked=picture):
            print(path)
    if out is None:
        with writable(folder.parent):
            print(write_overview(folder.parent))
    print_next(opening(folder / "index.html"), file=sys.stderr)


def _report_fits(
    fits: list[Fit], names: list[str], out: Path | None, *, picture: bool | None, watch: bool
) -> None:
    """Write the report of trainings of whole networks."""
    from skexplore.analysis import compare_fits
    from skexplore.report import fits_picture, write_fit_report, write_overview

    if watch:
        raise UserError("--watch: follows a study; the report of a training is written when it is asked for")
    more = "" if len(names) == 1 else f"-and-{len(names) - 1}-more"
    folder = out or Path("reports") / f"{Path(names[0]).resolve().name}{more}"
    found = compare_fits(fits)
    with writable(folder):
        for path in write_fit_report(found, folder):
            print(path)
        for path in pictures(folder / "curves", lambda kind: fits_picture(found, kind), asked=picture):
            print(path)
    if out is None:
        with writable(folder.parent):
            print(write_overview(folder.parent))
    print_next(opening(folder / "index.html"), file=sys.stderr)


@app.command(rich_help_panel=DECIDE)
def explore(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for any that is free.")] = 8000,
    browser: Annotated[bool, typer.Option(help="Open it in a browser.")] = True,
) -> None:
    """Serve reports/ to this machine's browser, and keep the reports of running studies up to date; Ctrl-C ends it."""
    import time
    import webbrowser

    from skexplore.cli.following import EVERY, HERE, PATIENT, keep_up, serving

    folder = Path("reports")
    with writable(folder, "make room, or allow writing there"), interruptible(print, ""):
        began, running = time.monotonic(), keep_up(folder, set())
        server = serving(folder, port)
        address = f"http://{HERE}:{server.server_port}/"
        print(f"{address}  (Ctrl-C ends it)", flush=True)
        if browser:
            webbrowser.open(address)
        try:
            while True:
                time.sleep(max(EVERY, PATIENT * (time.monotonic() - began)))
                began, running = time.monotonic(), keep_up(folder, running)
        finally:
            keep_up(folder, running, last=True)


def _picture(study: Study, beside: list[Study]) -> tuple[str, Callable[[str], bytes]]:
    """Return the name of a report's picture, and what draws it as ``svg`` or ``png``."""
    from skexplore.report import ablation_picture, search_picture

    if study.spec.ablation is not None:
        return "effects", lambda kind: ablation_picture(study, kind)
    return "pareto", lambda kind: search_picture(study, kind, beside)


@app.command(rich_help_panel=DECIDE)
def table(
    studies: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[STUDY]...",
            autocompletion=studies,
            help="A search and more studies measured like it; without any, sk-table and sk-table-best.",
        ),
    ] = None,
) -> None:
    """Print the trainings of studies as CSV, a row for each block and seed."""
    from skexplore.study import load_table

    print(load_table(*(studies or ())).to_csv(index=False), end="")


@app.command(rich_help_panel=TAKE)
def export(
    study: StudyArgument,
    trial: Annotated[str, typer.Option(help="best, front, or the number of a trained trial.")] = "best",
    scale: Annotated[
        str, typer.Option(help="Network of build() and of block.onnx: reference or proxy.")
    ] = "reference",
    onnx: Annotated[
        bool, typer.Option("--onnx", help="Write block.onnx too (needs skexplore[onnx]).")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Folder; default exports/STUDY/trial-N.")] = None,
) -> None:
    """Write the block of a trial as code, weights and pictures that do without skexplore."""
    from skexplore.export import chosen, export_block, read_block_file
    from skexplore.study import load_study, study_folder

    loaded = load_study(study)
    records = chosen(loaded, trial)
    for record in records:
        default = Path("exports") / loaded.spec.name / f"trial-{record.number}"
        folder = default if out is None else out / f"trial-{record.number}" if trial == "front" else out
        with writable(folder):
            paths = export_block(loaded, record, study_folder(study), folder, scale=scale, onnx=onnx)
        for path in paths:
            print(path)
        written = read_block_file(folder)
        if written.onnx is not None:
            file = written.onnx
            print(
                f"block.onnx: the {file.scale} with {file.weights} weights; onnxruntime differs from torch by at most "
                f"{file.largest_difference:.1e} (largest output {file.largest_output:.2g})",
                file=sys.stderr,
            )
        if written.weights is None:
            print(f"no weights of trial {record.number}: {written.weights_note}", file=sys.stderr)
    print_next(f"skexplore verify {shlex.quote(str(folder))}", file=sys.stderr)


@app.command(rich_help_panel=TAKE)
def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that export wrote.")],
    run_foreign_code: Annotated[
        bool,
        typer.Option(
            "--run-foreign-code",
            help="Execute block.py although it is not the text that this version writes, as in a folder of another "
            "version of skexplore. It may do whatever you may: use this only if you trust where the folder comes from.",
        ),
    ] = False,
) -> None:
    """Check that an exported folder is what it says; exit 1 if not.

    First every file is compared with its SHA-256, every number with what the block gives, and every text, block.py
    among them, with what skexplore writes for this block. Only if all are equal is block.py executed, in a Python
    process of its own, and block.onnx by onnxruntime; their costs and outputs are compared with skexplore's.
    """
    from skexplore.export import verdict, verify as run_checks

    checks = run_checks(folder, run_foreign_code=run_foreign_code)
    for check in checks:
        state = "FAILED" if not check.ok else "ok    " if check.done else "NOT CHECKED"
        print(printable(f"{state} {check.name}: {check.detail}"))
    print(printable(verdict(checks)))
    if not all(check.ok for check in checks):
        raise typer.Exit(1)
    print_next(opening(folder / "README.md"), file=sys.stderr)
