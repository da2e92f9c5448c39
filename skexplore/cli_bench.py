"""The ``bench`` commands: what the promises about speed are on this machine."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from skexplore.cli_blocks import JsonOption

bench_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Measure speed on this machine, against timm and fvcore.",
)

QuickOption = Annotated[
    bool,
    typer.Option("--quick", help="Small shapes and few turns, to see that it works; no numbers to quote."),
]


@bench_app.command("sk")
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
    from skexplore.bench import environment, geometric_means, time_sk, use_threads

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


@bench_app.command("cost")
def bench_cost(quick: QuickOption = False, as_json: JsonOption = False) -> None:
    """Time the exact cost of random blocks at the reference, and fvcore's count of built networks."""
    from skexplore.bench import environment, time_cost

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
