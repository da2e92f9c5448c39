"""The command that measures how long a network takes here."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Annotated

import typer

from skexplore.cli.common import (
    ASK,
    ChannelsOption,
    ClassesOption,
    JsonOption,
    OneBlockArgument,
    ResolutionOption,
    SystemOption,
    chosen_network,
    in_flops,
    print_prose,
)

app = typer.Typer(rich_markup_mode=None)


@app.command(rich_help_panel=ASK)
def latency(
    block: OneBlockArgument = None,
    system: SystemOption = None,
    backbone: Annotated[str | None, typer.Option(help="As in skexplore cost.  [default: sknet50]")] = None,
    resolution: ResolutionOption = None,
    classes: ClassesOption = None,
    in_channels: ChannelsOption = None,
    batch: Annotated[int, typer.Option(min=1, max=65_536, help="Images at a time.")] = 1,
    dtype: Annotated[str, typer.Option(help="float32, bfloat16 or float16.")] = "float32",
    device: Annotated[str, typer.Option(help="cpu, or a GPU such as cuda:0.")] = "cpu",
    threads: Annotated[
        int | None, typer.Option(min=1, max=256, help="Threads of torch on a CPU; default what it chooses.")
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, max=600, help="For about how long to measure.")] = 3.0,
    as_json: JsonOption = False,
) -> None:
    """Measure what a batch of images takes on this machine: median and quartiles of several runs."""
    from skexplore.arch import check_memory, format_blocks, resolution_of, resolution_text

    own = chosen_network(block, system, backbone, classes, in_channels)
    size = own.backbone.resolution if resolution is None else resolution_of(resolution)
    total, title = own.cost(resolution=size), system or f"{format_blocks(own.blocks)} in {own.backbone.name}"
    check_memory(
        replace(total, activations=batch * total.activations),
        f"{title} at {resolution_text(size)}, {batch} at a time",
        "lower --batch",
    )
    from skexplore.nn import measure_latency, use_threads

    if threads is not None:
        use_threads(threads)
    found = measure_latency(own, resolution=size, batch=batch, dtype=dtype, device=device, seconds=seconds)
    if as_json:
        row = {
            "network": title,
            "resolution": size if isinstance(size, int) else resolution_text(size),
            "macs": total.macs,
            "params": total.params,
        }
        print(json.dumps(row | asdict(found)))
        return
    print(
        f"{title} at {resolution_text(size)}: {found.median_ms:.2f} ms "
        f"({found.low_ms:.2f} to {found.high_ms:.2f}, quartiles of {found.runs} runs)"
    )
    print_prose(
        f"batch of {found.batch}, {found.dtype}, channels_last, {found.device}, {found.threads} threads; "
        f"{in_flops(total.macs)} an image. Measured here and now: not to be compared with another machine's, nor "
        "with a run beside other work."
    )
