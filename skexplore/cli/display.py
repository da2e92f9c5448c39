"""What the terminal shows: live progress, plain lines where there is no terminal, and result tables."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from skexplore.arch import flops_unit
from skexplore.cli.common import print_prose, said_unit
from skexplore.study import STATUSES, Study

if TYPE_CHECKING:
    from skexplore.engine import Fetch, Note, Progress
    from skexplore.study import Estimate, Record

GAP = 2  # between columns
BLOCKS = {"block", "best block", "network"}  # columns of tables that hold notation


def error_console() -> Console:
    """Return the console of progress and messages (stderr)."""
    return Console(stderr=True, highlight=False)


def print_table(rows: list[dict[str, str]], *, right: tuple[str, ...] = (), title: str = "") -> None:
    """Print rows as an aligned table on stdout; columns in ``right`` are aligned to the right.

    Where the terminal is too narrow texts are broken between words, and blocks, if need be, before a ``+`` or ``/``.
    """
    width = None if sys.stdout and sys.stdout.isatty() else 200
    console = Console(highlight=False, width=width)
    if title:  # as a title of the table it would be wrapped at the table's width
        console.print(Text(title, style="italic"))
    if not rows:
        return
    widths = _widths(rows, console.width)
    excess = sum(widths.values()) + GAP * (len(widths) - 1) - console.width
    if excess > 0 and (held := BLOCKS.intersection(widths)):
        rows = [row | {name: broken(row[name], widths[name] - excess) for name in held} for row in rows]
        widths = _widths(rows, console.width)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, GAP, 0, 0))
    for name, column in widths.items():
        table.add_column(name, justify="right" if name in right else "left", overflow="fold", width=column)
    for row in rows:
        table.add_row(*(Text(value) for value in row.values()))
    console.print(table)


def _widths(rows: list[dict[str, str]], room: int) -> dict[str, int]:
    """Return the width of each column: its longest word, and what ``room`` has left to those that lack least."""
    texts = {name: [name, *(row[name] for row in rows)] for name in rows[0]}
    widths = {
        name: max(len(word) for text in each for word in text.split() or [""]) for name, each in texts.items()
    }
    lacks = {
        name: max(len(line) for text in each for line in text.splitlines() or [""]) - widths[name]
        for name, each in texts.items()
    }
    left = room - sum(widths.values()) - GAP * (len(widths) - 1)
    for name in sorted(lacks, key=lambda each: lacks[each]):
        more = min(lacks[name], max(0, left))
        widths[name], left = widths[name] + more, left - more
    return widths


def broken(block: str, most: int) -> str:
    """Return ``block`` in lines of at most ``most`` letters, broken before ``+``, ``/`` and ``;`` alone."""
    lines = [""]
    for part in re.split(r"(?=[+/;])", block):
        if lines[-1] and len(lines[-1]) + len(part) > most:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


class Reporter:
    """Turns progress into a live line on a terminal, and into plain lines elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console, self._live = console, console.is_terminal
        self._began, self._said = time.monotonic(), ""
        self._display = Live(
            console=console, refresh_per_second=4, transient=True, get_renderable=self._line_now
        )
        self._skipped = 0
        self._fetched = 0.0

    def __enter__(self) -> Callable[[Progress | Fetch | Note], None]:
        if self._live:
            self._display.start()
        return self.show

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._display.stop()

    def show(self, event: Progress | Fetch | Note) -> None:
        """Show one event."""
        from skexplore.engine import Fetch, Note

        if isinstance(event, Note):
            self._console.print(escape(event.text), style="dim", soft_wrap=not self._live)
            return
        if isinstance(event, Fetch):
            self._fetch(event)
            return
        if event.kind == "skip":
            self._skipped += 1
        else:
            line = _line(event)
            if line:
                self._console.print(escape(self._skips() + line), soft_wrap=not self._live)
        if self._live:
            self._said = _status(event)

    def _line_now(self) -> Text:
        elapsed = int(time.monotonic() - self._began)
        said = f"{elapsed // 60}:{elapsed % 60:02} | {self._said}" if self._said else ""
        return Text(said, style="bold", no_wrap=True, overflow="ellipsis")

    def _skips(self) -> str:
        count, self._skipped = self._skipped, 0
        return f"({count} skipped (over budget) or measured before)\n" if count else ""

    def _fetch(self, event: Fetch) -> None:
        share = f"{event.done / 1e6:.0f} of {event.total / 1e6:.0f} MB" if event.total else ""
        text = f"{event.what} {share}"
        if self._live:
            self._said = text
        elif time.monotonic() - self._fetched > 5 or event.done >= event.total:
            self._fetched = time.monotonic()
            self._console.print(escape(text), soft_wrap=True)


def _line(event: Progress) -> str:
    record = event.record
    if record is None:
        return event.text
    kind = "run" if record.sampler == "user" else record.origin if record.beside else "trial"
    name = f"{kind:<9} {record.number:>3}"
    block = record.block if record.plain else f"{record.block} {record.setting.words}"
    unit = flops_unit(record.ref_macs)
    what = f"{name}  {block}  {record.ref_macs / unit.scale:.2f} {unit.name}" + (
        f"  seed {record.seed}" if record.beside else ""
    )
    if event.kind == "start":
        if record.rung is None:
            return f"{what}: training"
        return f"{what}: goes on from rung {record.rung}, {record.epochs} epochs"
    if event.kind == "end":
        if record.val_error is None:
            return f"{what}: {record.status}, {record.reason}"
        return f"{what}: val error {100 * record.val_error:.2f} % ({record.seconds:.0f} s)"
    return ""


def _status(event: Progress) -> str:
    counters = ", ".join(f"{event.counters[name]} {name}" for name in STATUSES if event.counters.get(name))
    best = f"best {100 * event.best:.2f} %" if event.best is not None else ""
    beside = (
        "anchor trainings" if event.target else "trainings"
    )  # without a search there is nothing to anchor
    anchors = f"{event.anchors_left} {beside} to go" if event.anchors_left else ""
    parts = [
        f"{event.trained} of {event.target} trained" if event.target else "",
        best,
        _place(event),
        _time_left(event),
        anchors,
        counters,
    ]
    return " | ".join(part for part in parts if part)


def _place(event: Progress) -> str:
    """Return which epoch of which training was heard of last, and between which rungs it is."""
    record, epoch = event.record, event.epoch
    if record is None or epoch is None:
        return ""
    rung = f" after rung {record.rung}" if record.rung is not None else ""
    return f"{record.block} epoch {epoch.epoch}{rung}"


def _time_left(event: Progress) -> str:
    if not event.images:
        return "time left: measuring"
    minutes = event.seconds * event.images_left / event.images / 60
    return f"about {minutes:.0f} min left" if minutes >= 1 else "less than a minute left"


def print_front(study: Study) -> None:
    """Print what a search found: counters, the front, the anchors, and how much of it is noise."""
    from skexplore.analysis import (
        anchor_table,
        answer_words,
        counters,
        may_be_best,
        nearest_row,
        notes,
        trust,
    )

    unit = study.spec.flops_unit
    counts = counters(study)
    kinds = {"replicates": "of leaders again"} | {name: name for name in STATUSES}
    done = ", ".join(f"{counts[name]} {words}" for name, words in kinds.items() if counts.get(name))
    print(f"{study.spec.name}: {counts['trained']} of {study.target} trained ({done}), {study.state}\n")
    marks, names = may_be_best(study), {True: "yes", False: "no", None: "not known"}
    best = study.best
    rows = [
        {
            "trial": str(record.number),
            "block": record.block,
            unit.name: unit.of(record.ref_macs),
            "#P (M)": f"{record.ref_params / 1e6:.2f}",
            **_limited(study, record),
            "estimate": _estimate(study.estimates[record.block]),
            "seeds": str(study.estimates[record.block].trainings),
            "may be best": "best" if record == best else names[marks[record.number]],
            f"nearest in Table {anchor_table(study)}": nearest_row(study, record),
        }
        for record in study.front
    ]
    if rows:
        print_table(
            rows,
            right=("trial", unit.name, "#P (M)", "activations (M)", "ms", "estimate", "seeds"),
            title="Pareto front",
        )
    else:
        print("No trial within the budget is complete yet, so there is no front.")
    _print_anchors(study)
    print()
    said = answer_words(study.answer, trust(study.model)) if study.answer and study.model else []
    for note in [*said, *notes(study)]:
        print_prose(note)
    print_prose(f"Costs are at the reference, {study.spec.reference_words}. {said_unit(unit)}")
    if study.spec.latency:
        print_prose(
            f"ms: latency at the reference, {study.spec.latency.words}, measured beside the trainings."
        )


def _limited(study: Study, record: Record) -> dict[str, str]:
    """Return the columns of activations where they are limited, and of latencies where they are measured."""
    found = {}
    if study.spec.limits_activations:
        found["activations (M)"] = f"{study.spec.sizes(record).activations / 1e6:.2f}"
    if study.spec.latency is not None:
        found["ms"] = "" if record.ref_latency_ms is None else f"{record.ref_latency_ms:.1f}"
    return found


def _estimate(found: Estimate) -> str:
    interval = (
        ""
        if found.low is None or found.high is None
        else f" ({100 * found.low:.2f} to {100 * found.high:.2f})"
    )
    return f"{100 * found.estimate:.2f} %{interval}"


def _print_anchors(study: Study) -> None:
    from skexplore.analysis import anchors_table

    table, unit = anchors_table(study), study.spec.flops_unit
    rows = [
        {
            "anchor": f"{row['block']} ({row['name']})",
            unit.name: unit.of(row["ref_macs"]),
            "#P (M)": f"{row['ref_params'] / 1e6:.2f}",
            "val error": f"{100 * row['mean']:.2f} %",
            "seeds": str(row["n"]),
        }
        for row in table.to_dict("records")
    ]
    if rows:
        print()
        print_table(rows, right=(unit.name, "#P (M)", "val error", "seeds"), title="Anchors, same recipe")
