"""The commands about data sets: fetch and verify. They import neither torch nor pandas."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Protocol

import typer

from skexplore.cli.common import MACHINE, JsonOption, print_next
from skexplore.data import DATASETS, get_dataset
from skexplore.words import listed

app = typer.Typer(
    name="data",
    no_args_is_help=True,
    rich_markup_mode=None,
    rich_help_panel=MACHINE,
    help="Fetch a data set, or check the copy that is there.",
)

DatasetOption = Annotated[str, typer.Option(help=f"{listed(DATASETS)}.")]


class _Stream(Protocol):
    def write(self, text: str, /) -> int: ...
    def flush(self) -> None: ...
    def isatty(self) -> bool: ...


class Bar:
    """Bytes fetched and checked so far: one line rewritten on a terminal, a line now and then elsewhere."""

    def __init__(self, stream: _Stream, every: float = 5.0) -> None:
        self._stream, self._live, self._every = stream, stream.isatty(), every
        self._what, self._shown = "", 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show one event; one without a total is a message, which stays."""
        text = f"{what} {done / 1e6:.0f} of {total / 1e6:.0f} MB" if total else what
        if self._live:
            self._stream.write(f"\r\x1b[K{text}" + ("" if total else "\n"))
        elif what != self._what or time.monotonic() - self._shown >= self._every:
            self._what, self._shown = what, time.monotonic()
            self._stream.write(f"{text}\n")
        self._stream.flush()

    def clear(self) -> None:
        """Take the last line away, so that what follows begins at the left."""
        if self._live:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


@app.command("fetch")
def data_fetch(
    dataset: DatasetOption = "cifar10",
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder or archive to take it from, instead of a download (or SKEXPLORE_DATA)."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Put a data set into the cache, checked byte for byte; an undamaged copy is kept."""
    from skexplore.data import PARTS, prepare_data

    release, bar = get_dataset(dataset), Bar(sys.stderr)
    try:
        folder = prepare_data(dataset, data_dir=data_dir, progress=bar, whole=True)
    except KeyboardInterrupt:
        bar.clear()
        print("interrupted; nothing was cached. Repeat the same command to begin again.", file=sys.stderr)
        raise typer.Exit(130) from None
    finally:
        bar.clear()
    images = {part: sum(release.files(part).values()) for part in PARTS}
    if as_json:
        row = {"dataset": dataset, "folder": str(folder), "images": images, "sums_ok": True}
        print(json.dumps(row))
        return
    print(f"{release.title} in {folder}")
    for part, count in images.items():
        print(f"{part:<6} {count:,} images of {release.classes} classes")
    print("sums   all as expected")
    print_next(f"skexplore search --budget-gflops 4.5 --dataset {dataset}")


@app.command("verify")
def data_verify(
    dataset: DatasetOption = "cifar10",
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder or archive of a release to check, instead of the cache.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a data set byte for byte, both parts; exit 1 if a file is not the official one."""
    from skexplore.data import cache_folder, inspect_cache, inspect_release

    release = get_dataset(dataset)
    place = data_dir.expanduser() if data_dir else cache_folder(dataset)
    found = inspect_release(release, place, str(place)) if data_dir else inspect_cache(dataset)
    checks = []
    for check in found:
        checks.append(check)
        if not as_json:
            print(f"{'ok    ' if check.ok else 'FAILED'} {check.name}: {check.detail}", flush=True)
    ok = all(check.ok for check in checks)
    if as_json:
        files = [asdict(check) for check in checks]
        print(json.dumps({"dataset": dataset, "place": str(place), "ok": ok, "files": files}))
    if not ok:
        mend = "get what FAILED again" if data_dir else f"skexplore data fetch --dataset {dataset}"
        print(f"{place} is damaged; to repair it: {mend}", file=sys.stderr)
        raise typer.Exit(1)
