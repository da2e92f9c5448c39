"""The commands about data sets: fetch and verify. They import neither torch nor pandas."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skexplore.cli.bar import Bar
from skexplore.cli.common import MACHINE, JsonOption, print_next, print_prose
from skexplore.data import DATASETS, get_dataset
from skexplore.errors import UserError
from skexplore.words import first_of

if TYPE_CHECKING:
    from skexplore.data import OwnImages

app = typer.Typer(
    name="data",
    no_args_is_help=True,
    rich_markup_mode=None,
    rich_help_panel=MACHINE,
    help="Fetch a data set, or check the copy that is there.",
)

DatasetOption = Annotated[
    str,
    typer.Option(
        metavar="NAME|FOLDER[@SIDE]",
        help=f"{', '.join(DATASETS)}, or your own images at SIDE pixels (32 if left out).",
    ),
]


@app.command("fetch")
def data_fetch(
    dataset: DatasetOption = "cifar10",
    data_dir: Annotated[
        Path | None,
        typer.Option(help="Folder or archive to take it from, instead of a download (or SKEXPLORE_DATA)."),
    ] = None,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Leave out images of your own that cannot be decoded.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Put a data set into the cache, checked byte for byte, or your own images, decoded; a sound copy is kept."""
    from skexplore.data import PARTS, content_of, describe_own, is_own, prepare_data

    own = is_own(dataset)
    if own and data_dir is not None:
        raise UserError(
            f"--data-dir {data_dir}: is for data sets that are known by name; --dataset says where yours are"
        )
    with Bar(sys.stderr) as bar:
        try:
            if own or dataset not in DATASETS:
                content_of(dataset, skip_broken=skip_broken, progress=bar)
            else:
                folder = prepare_data(dataset, data_dir=data_dir, progress=bar, whole=True)
        except KeyboardInterrupt:
            bar.clear()
            print("interrupted; nothing was cached. Repeat the same command to begin again.", file=sys.stderr)
            raise typer.Exit(130) from None
    if own:
        _print_own(describe_own(dataset), dataset, as_json=as_json)
        return
    release = get_dataset(dataset)
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


def _print_own(own: OwnImages, dataset: str, *, as_json: bool) -> None:
    from skexplore.data import remarks

    if as_json:
        row = {name: getattr(own, name) for name in ("digest", "side", "channels", "classes", "skipped")}
        said = {"images": own.images, "counts": own.counts, "remarks": [*remarks(own)]}
        print(json.dumps({"dataset": own.name, "folder": str(own.folder)} | said | row))
        return
    colours = "RGB" if own.channels == 3 else "grey"
    print(f"{own.name}: {colours} images of {own.side}x{own.side} pixels in {own.folder}")
    for part, count in own.images.items():
        note = " (one in ten of each class, held out of train: there is no test folder)"
        print(f"{part:<6} {count:,} images{note if part == 'test' and own.test_held_out else ''}")
    if "val" not in own.counts:
        print("val    a tenth of train, with each class in its share, the same for every seed")
    print_prose(f"{len(own.classes)} classes: {first_of(own.classes)}")
    for remark in remarks(own):
        print_prose(f"Note: {remark}.")
    print_next(f"skexplore search --budget-gflops 4.5 --dataset {shlex.quote(dataset)}")


@app.command("verify")
def data_verify(
    dataset: DatasetOption = "cifar10",
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder or archive of a release to check, instead of the cache.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check a data set byte for byte, both parts; exit 1 if a file is not the official one."""
    from skexplore.data import cache_folder, describe_own, inspect_cache, inspect_own, inspect_release, is_own

    if is_own(dataset):
        if data_dir is not None:
            raise UserError(f"--data-dir {data_dir}: is for data sets that are known by name")
        place: Path = describe_own(dataset).folder
        found = inspect_own(describe_own(dataset))
    else:
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
        mend = f"skexplore data fetch --dataset {shlex.quote(dataset)}"
        if data_dir:
            mend = "get what FAILED again"
        elif is_own(dataset):
            mend = f"delete {place}, then {mend}"
        print(f"{place} is damaged; to repair it: {mend}", file=sys.stderr)
        raise typer.Exit(1)
