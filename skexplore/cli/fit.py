"""The command that trains a whole network to be used."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skexplore.cli.bar import Bar
from skexplore.cli.common import (
    TAKE,
    JsonOption,
    ReferenceOption,
    SystemOption,
    TrackOption,
    chosen_network,
    interruptible,
    print_next,
    print_prose,
    said_time,
    typed_command,
    writable,
)
from skexplore.cli.interrupts import INTERRUPTS
from skexplore.data import DATASETS
from skexplore.errors import UserError
from skexplore.study import FIT_RECIPES
from skexplore.words import listed

if TYPE_CHECKING:
    from skexplore.fit import FitProgress, FitRequest
    from skexplore.study import Fit, FitSpec

app = typer.Typer(rich_markup_mode=None)
KEPT = "interrupted. Repeat the same command to go on from the last checkpoint."
WAITS = 0.1  # share of the time that waiting for images may take before more workers are advised


@app.command(rich_help_panel=TAKE)
def fit(
    block: Annotated[
        str | None,
        typer.Argument(
            metavar="BLOCK", help="Block notation, the folder of an export, its block.json, or - for stdin."
        ),
    ] = None,
    system: SystemOption = None,
    data: Annotated[
        str,
        typer.Option(
            "--data",
            "--dataset",
            metavar="NAME|FOLDER",
            help=f"{', '.join(DATASETS)}, or your own images: a folder of train/CLASS/IMAGE, an .npz or Parquet files.",
        ),
    ] = "cifar10",
    backbone: Annotated[
        str | None,
        typer.Option(
            help="Network around the block, such as sknet50, sknet29:x0.5 or 8x4d-333.  [default: sknet29 for data "
            "sets of 32 pixels, sknet50 for your own images]"
        ),
    ] = None,
    reference: ReferenceOption = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE.yaml",
            help=f"{listed(FIT_RECIPES)} (section 4.1, supplement D, one of today), or a file.  [default: paper-cifar "
            "below 65 pixels, else paper]",
        ),
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, max=100_000, help="Instead of the recipe's.")] = None,
    resolution: Annotated[
        int | None, typer.Option(min=8, max=2048, help="Pixels a side.  [default: the backbone's]")
    ] = None,
    init: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Weights to begin with: a model.safetensors of this network."),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**31, help="Of first weights, order and changes of images.")
    ] = 0,
    test: Annotated[
        bool, typer.Option("--test", help="Read the test images, once, after the last update.")
    ] = False,
    accumulate: Annotated[
        int,
        typer.Option(
            min=1,
            max=10_000,
            help="Take each batch through the network in so many parts, to save memory: another training.",
        ),
    ] = 1,
    minutes: Annotated[
        float,
        typer.Option(min=0.01, help="Write a checkpoint as often within an epoch, beside that at its end."),
    ] = 10.0,
    workers: Annotated[
        int | None, typer.Option(min=0, max=512, help="Processes that read images.  [default: one per core]")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda or mps.  [default: a GPU if there is one]")
    ] = None,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Leave out images of your own that cannot be decoded.")
    ] = False,
    licence: Annotated[
        str, typer.Option("--license", help="Licence in the model card, such as mit.  [default: other]")
    ] = "",
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder with the data set, instead of fetching it.")
    ] = None,
    track: TrackOption = None,
    out: Annotated[Path | None, typer.Option(help="Folder; default studies/fit-DATA-NETWORK-sSEED.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a whole network to be used, and leave weights, code, ONNX and a model card.

    Repeat the same command after any interruption: it goes on from the last checkpoint. For several GPUs: torchrun
    --nproc-per-node N -m skexplore.fit and the same options.
    """
    spec = _asked(block, system, data, backbone, reference, recipe, epochs, resolution, seed, accumulate)
    from skexplore.fit import FitRequest, Listener, fit as run_fit

    request = FitRequest(
        folder=out or Path("studies") / _name(spec, data),
        spec=spec,
        data=data,
        data_dir=data_dir,
        skip_broken=skip_broken,
        test=test,
        init=init,
        minutes=minutes,
        workers=workers,
        device=_device(device),
        licence=licence,
        command=typed_command(),
    )
    alone = "RANK" not in os.environ  # else torchrun hears Ctrl-C, and ends all of its processes
    with (
        writable(request.folder, "make room, or choose another --out"),
        interruptible(lambda text: print(text, file=sys.stderr), KEPT),
        INTERRUPTS.counted() if alone else nullcontext(int) as interrupts,
        Bar(sys.stderr) as bar,
        _Tracked(track, request) as tracked,
    ):

        def on_data(what: str, done: int, total: int) -> None:
            if interrupts():
                raise KeyboardInterrupt
            bar(what, done, total)

        def on_epoch(progress: FitProgress) -> None:
            _print_epoch(progress)
            tracked.tell(progress)

        listener = Listener(
            on_data=on_data,
            on_note=lambda text: print(f"note: {text}", file=sys.stderr),
            on_epoch=on_epoch,
            stop=lambda: interrupts() > 0,
        )
        found = run_fit(request, listener)
        tracked.tell_end(found)
    if int(os.environ.get("RANK", "0")) == 0:  # of several processes one speaks
        _print_fit(found, as_json=as_json)


class _Tracked:
    """The run of a tracker that hears of each epoch: begun with the first one, since a repeated command has none."""

    def __init__(self, track: str | None, request: FitRequest) -> None:
        self._request = request
        self._log: Callable[[int, Mapping[str, float]], None] | None = None
        self._open, self._tracker = ExitStack(), None
        if track is not None:
            from skexplore.tracking import Tracker, check_tracker

            self._tracker = Tracker(
                check_tracker(track),
                request.folder,
                f"fit-{_data_name(request.data)}",
                warn=lambda text: print(f"note: {text}", file=sys.stderr),
            )

    def __enter__(self) -> _Tracked:
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)

    def tell(self, progress: FitProgress) -> None:
        """Tell of an epoch, of the first ones too where the training was gone on with."""
        if self._tracker is None:
            return
        new = progress.curve[-1:]
        if self._log is None:
            spec = self._request.spec
            settings = {"network": spec.title, "resolution": spec.resolution, "seed": spec.seed}
            run = self._tracker.run(self._request.folder.name, settings | asdict(spec.recipe))
            self._log, new = self._open.enter_context(run), progress.curve
        for epoch in new:
            names = ("lr", "train_loss", "val_loss", "val_error")
            self._log(epoch.epoch, {name: getattr(epoch, name) for name in names})

    def tell_end(self, found: Fit) -> None:
        """Tell what was measured of the finished network."""
        if self._log is not None and found.metrics is not None:
            values = {f"{each.part}_error_{each.resolution}px": each.error for each in found.metrics.measured}
            self._log(len(found.curve), values)


def _asked(
    block: str | None,
    system: str | None,
    data: str,
    backbone: str | None,
    reference: str | None,
    recipe: str | None,
    epochs: int | None,
    resolution: int | None,
    seed: int,
    accumulate: int,
) -> FitSpec:
    """Return what is asked of the training; what is known of a user's own images comes when they are read."""
    from skexplore.arch import format_blocks
    from skexplore.data import CIFAR, get_dataset, is_own
    from skexplore.study import FitSpec, get_fit_recipe

    own = is_own(data)
    place, at, side_given = data.rpartition("@")
    if own and at and side_given.isdigit() and not Path(data).exists():
        raise UserError(f"--data {data}: give the size by --resolution {side_given}, with --data {place}")
    if backbone is None and system is None and reference is None and not own:
        backbone = "sknet29"
    content = CIFAR if own else get_dataset(data).content
    network = chosen_network(block, system, backbone, content.classes, content.channels, reference=reference)
    side = network.backbone.resolution if resolution is None else resolution
    if not isinstance(side, int):
        raise UserError(f"backbone {network.backbone.name}: its images are not square; give --resolution N")
    found = get_fit_recipe(recipe or ("paper-cifar" if side <= 64 else "paper"), epochs=epochs)
    spec = FitSpec(
        block="" if system else format_blocks(network.blocks),
        backbone=network.backbone.name.split("@")[0],
        reference=reference or "",
        system=system or "",
        resolution=side,
        content=content,
        recipe=found,
        seed=seed,
        accumulate=accumulate,
    )
    spec.architecture.placed  # noqa: B018  # refuses a block that the backbone cannot hold
    return spec


def _data_name(data: str) -> str:
    return data if data in DATASETS else Path(data).resolve().stem


def _name(spec: FitSpec, data: str) -> str:
    """Return the name of the training's folder."""
    network = spec.system or f"{spec.block}-{spec.backbone}"
    words = f"{_data_name(data)}-{network}"
    return f"fit-{re.sub(r'[^A-Za-z0-9.]+', '-', words).strip('-').lower()[:80]}-s{spec.seed}"


def _device(name: str | None) -> str | None:
    if name is None:
        return None
    import torch

    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not there.get(name):
        known = ", ".join(each for each, here in there.items() if here)
        raise UserError(f"--device {name}: not on this machine; give one of {known}, or leave it out")
    return name


def _print_epoch(progress: FitProgress) -> None:
    epoch = progress.curve[-1]
    waiting = ""
    if progress.waiting is not None:
        waiting = f", {100 * progress.waiting:.0f} % of the time waiting for images"
        if progress.waiting > WAITS and progress.enough is not None:
            waiting += f" (--workers {progress.enough} would hide it)"
    print(
        f"epoch {epoch.epoch} of {progress.epochs}: training loss {epoch.train_loss:.4f}, validation error "
        f"{100 * epoch.val_error:.2f} %, {said_time(epoch.seconds)}{waiting}",
        file=sys.stderr,
        flush=True,
    )


def _print_fit(found: Fit, *, as_json: bool) -> None:
    assert found.metrics is not None
    if as_json:
        print(json.dumps({"folder": str(found.folder)} | asdict(found.metrics)))
        return
    print(f"{found.spec.title} in {found.folder}")
    for each in found.metrics.measured:
        part = "validation" if each.part == "val" else "test"
        print(
            f"{part:<10} {100 * each.error:6.2f} % of {each.images:,} images at {each.resolution} pixels, "
            f"loss {each.loss:.4f}"
        )
    waiting = 100 * found.metrics.waiting
    print(f"trained    {said_time(found.metrics.seconds)}, {waiting:.1f} % of it waiting for images")
    if found.error("test") is None:
        print_prose("The test images were not read; --test with the same command reads them.")
    print_next(f"skexplore report {shlex.quote(str(found.folder))}")
