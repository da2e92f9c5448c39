"""The ``bench`` commands: what the promises about speed are on this machine."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skexplore.cli.bench_search import bench_search
from skexplore.cli.common import MACHINE, JsonOption

if TYPE_CHECKING:
    from skexplore.training import TrainTimings

app = typer.Typer(
    name="bench",
    no_args_is_help=True,
    rich_markup_mode=None,
    rich_help_panel=MACHINE,
    help="Measure speed on this machine, against timm and fvcore.",
)

app.command("search")(bench_search)

QuickOption = Annotated[
    bool,
    typer.Option("--quick", help="Small shapes and few turns, to see that it works; no numbers to quote."),
]


@app.command("sk")
def bench_sk(
    turns: Annotated[
        int,
        typer.Option(
            min=1, max=1000, help="Turns of each comparison in training; inference has 3 times as many."
        ),
    ] = 7,
    threads: Annotated[
        int | None, typer.Option(min=1, max=256, help="Threads of torch; default what it chooses itself.")
    ] = None,
    quick: QuickOption = False,
    as_json: JsonOption = False,
) -> None:
    """Compare the SK convolution with timm's and with its bare branches (needs skexplore[bench])."""
    from skexplore.nn import environment, geometric_means, time_sk, use_threads

    if threads is not None:
        use_threads(threads)
    turns = 1 if quick else turns
    timings = []
    if not as_json:
        print(
            f"{'input':<18}{'mode':<11}{'layout':<15}{'ms':>8}{'timm ms':>9}{'bare ms':>9}{'x timm':>8}{'x bare':>8}"
        )
    for each in time_sk(turns=turns, quick=quick):
        timings.append(each)
        if not as_json:
            shape = "x".join(map(str, each.shape))
            print(
                f"{shape:<18}{each.mode:<11}{each.layout:<15}{each.own_ms:>8.1f}{each.timm_ms:>9.1f}"
                f"{each.bare_ms:>9.1f}{each.times_timm:>8.2f}{each.times_bare:>8.2f}",
                flush=True,
            )
        else:
            print(f"{each.shape} {each.mode} {each.layout}", file=sys.stderr)
    means, where = geometric_means(timings), environment()
    if as_json:
        rows = [asdict(each) for each in timings]
        print(json.dumps({"turns": turns, "environment": where, "timings": rows, "geometric_means": means}))
        return
    print("\ngeometric means")
    for name, mean in means.items():
        print(
            f"  {name:<25} {mean['times_timm']:.2f} times timm's speed, "
            f"{mean['times_bare']:.2f} times the time of bare branches"
        )
    print(
        "\nMethod: block k3+k3d2, 32 groups; timm's SelectiveKernel(split_input=False) with the same weights. In\n"
        f"each of {turns} turns (inference: {3 * turns}) the three run one after another; times are medians, ratios\n"
        "medians of the turns' ratios. Bare branches: the same convolutions, BatchNorms and ReLUs as the SK\n"
        "convolution runs them, with nothing made of their outputs. Training: a forward pass and all gradients."
    )
    print(", ".join(f"{name} {value}" for name, value in where.items()))


@app.command("cost")
def bench_cost(quick: QuickOption = False, as_json: JsonOption = False) -> None:
    """Time the exact cost of random blocks at the reference, and fvcore's count of built networks."""
    from skexplore.nn import environment, time_cost

    timings, where = list(time_cost(quick=quick)), environment()
    if as_json:
        print(json.dumps({"environment": where, "timings": [asdict(each) for each in timings]}))
        return
    for each in timings:
        print(
            f"{each.kind:<10} {each.cost_us:.1f} microseconds a block ({each.notation_us:.1f} from notation), "
            f"median over {each.blocks:,} blocks, none seen twice\n"
            f"{'':<10} fvcore {each.fvcore_ms:,.0f} ms to count a built network (median of {each.counts}): "
            f"{each.times_fvcore:,.0f} times"
        )
    print("\nSKNet-50 at 224x224, blocks of 1 to 5 branches. The time to build a network is not counted.")
    print(", ".join(f"{name} {value}" for name, value in where.items()))


@app.command("ask")
def bench_ask(
    trainings: Annotated[
        int, typer.Option(min=1, max=100_000, help="Trainings that the search has behind it.")
    ] = 1000,
    asks: Annotated[int, typer.Option(min=1, max=10_000, help="Proposals that are timed.")] = 50,
    quick: QuickOption = False,
    as_json: JsonOption = False,
) -> None:
    """Time how long a long search waits for its next proposal, and until it goes on after a kill; Optuna beside it."""
    from skexplore.bench import analytic, distinct, time_asking
    from skexplore.nn import environment
    from skexplore.space import Space

    space = Space.load("sk-paper")
    land = analytic(space, distinct(space), "mixed", 4.5)
    trainings, asks = (20, 3) if quick else (trainings, asks)
    found = []
    for each in time_asking(
        land,
        ("model", "tpe", "random"),
        trainings=trainings,
        asks=asks,
        progress=lambda text: print(text, file=sys.stderr),
    ):
        found.append(each)
        if not as_json:
            print(
                f"{each.sampler:<8} {each.ask_ms:.1f} ms a proposal and {each.store_ms:.1f} to store it (Optuna "
                f"{each.optuna_ms:.1f} for both, {each.times_ask:.2f} times), goes on after {each.continue_s:.2f} s "
                f"(Optuna {each.optuna_s:.2f}, {each.times_continue:.2f} times)",
                flush=True,
            )
    where = environment()
    if as_json:
        print(json.dumps({"environment": where, "waits": [asdict(each) for each in found]}))
        return
    print(
        f"\nMethod: sk-paper within 4.5 GFLOPs after {trainings:,} trainings, {found[0].proposals:,} trials with\n"
        f"those over the budget; medians of {asks} proposals. Goes on: from opening the study's\n"
        "file to the first proposal, modules loaded. Optuna: TPE as it comes, as many trials in a SQLite file; times:\n"
        "its time over ours."
    )
    print(", ".join(f"{name} {value}" for name, value in where.items()))


@app.command("train")
def bench_train(
    quick: QuickOption = False,
    as_json: JsonOption = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder with CIFAR-10, instead of fetching it.")
    ] = None,
) -> None:
    """Time training on the CPU: what a trial's time goes into, processes, batch sizes, memory layouts."""
    from skexplore.training import time_train

    found = time_train(quick=quick, data_dir=data_dir, progress=lambda text: print(text, file=sys.stderr))
    if as_json:
        print(json.dumps(asdict(found)))
    else:
        _print_train(found)


def _print_train(found: TrainTimings) -> None:
    spec, whole = found.spec, sum(found.parts.values())
    print(
        f"{spec.block} in {spec.backbone}, {found.data}: an epoch of {spec.split.train_images:,} images, evaluated on "
        f"{spec.split.val_images:,}"
    )
    for name, seconds in sorted(found.parts.items(), key=lambda part: -part[1]):
        print(f"  {name:<20}{seconds:>9.3f} s{100 * seconds / whole:>8.2f} %")
    print(f"  outside updates and validation forward: {100 * found.overhead:.1f} % of {whole:.1f} s")
    print(f"  a worker's first network takes {found.first_network_seconds:.1f} s, once")
    print(
        f"\n2 processes x 1 thread: {found.two_processes_images_per_second:,.0f} images/s, "
        f"{found.times_one_process:.2f} times 1 process x 2 threads "
        f"({found.one_process_images_per_second:,.0f} images/s)"
    )
    for size, rate in found.batch_images_per_second.items():
        print(
            f"batch {size}: {rate:,.0f} images/s, {found.times_recipe_batch[size]:.2f} times batch "
            f"{spec.recipe.batch_size}"
        )
    print(f"channels_last: {found.times_nchw:.2f} times NCHW's speed")
    print(
        f"\nMethod: a whole trial of one epoch with 1 thread, its wall time split without a rest. An update is\n"
        "forward, backward and optimizer step; evaluation's forward counts as work, its batches as overhead.\n"
        f"Processes: at the same time, on random images, {found.rounds} turns one after another. Batch sizes\n"
        f"and layouts: updates alone on the same 256 images with 1 thread, {found.turns} and {2 * found.turns} turns. "
        "Images per second\nare medians, ratios medians of the turns' ratios. A search trains with 1 thread a process "
        "and channels_last;\nthe batch size is a part of the recipe."
    )
    print(", ".join(f"{name} {value}" for name, value in found.environment.items()))
