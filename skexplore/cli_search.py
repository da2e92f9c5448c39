"""The commands that train: search a space, or try a block of one's own."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skexplore.cli_blocks import GFLOPS, JsonOption

if TYPE_CHECKING:
    from skexplore.launch import Run
    from skexplore.record import Record, Study
    from skexplore.request import Plan

KEPT = "interrupted; everything finished is kept. Repeat the same command to go on."

search_app = typer.Typer(rich_markup_mode=None)

SpaceOption = Annotated[str, typer.Option(help="Name of a space, or a .yaml file.")]
DatasetOption = Annotated[str | None, typer.Option(help="cifar10 or cifar100.  [default: cifar10]")]
ProfileOption = Annotated[
    str | None,
    typer.Option(
        help="smoke (a minute, to see it work), quick (15 minutes on two CPU cores), standard (a GPU), paper "
        "(section 4.2, days).  [default: standard with a GPU, else quick]"
    ),
]
BackboneOption = Annotated[
    str | None, typer.Option(help="Network to train in, such as 16x4d-1111.  [default: the profile's]")
]
SeedOption = Annotated[int, typer.Option(help="Seed of the sampler and first seed of the trainings.")]
WorkersOption = Annotated[
    int | None, typer.Option(help="Processes.  [default: one per GPU, else one single-threaded per core]")
]
TimeOption = Annotated[
    str | None, typer.Option(metavar="TIME", help="End after so long (90s, 10m, 1h30m); repeat to go on.")
]
StorageOption = Annotated[
    str | None,
    typer.Option(metavar="URL", help="An Optuna RDB URL instead of the study's own SQLite file."),
]
DataOption = Annotated[Path | None, typer.Option(help="Folder with the data set, instead of fetching it.")]


@search_app.command()
def search(
    budget_gflops: Annotated[
        float | None, typer.Option(help=f"Budget at the reference (SKNet-50 at 224x224). {GFLOPS}")
    ] = None,
    budget_params: Annotated[
        float | None, typer.Option(help="Budget in 10^6 parameters, at the reference.")
    ] = None,
    space: SpaceOption = "sk-paper",
    dataset: DatasetOption = None,
    trials: Annotated[
        int | None,
        typer.Option(help="Distinct architectures to train over the study's life.  [default: the profile's]"),
    ] = None,
    time_limit: TimeOption = None,
    study: Annotated[str | None, typer.Option(help="Name; the same name continues a study.")] = None,
    mode: Annotated[
        str,
        typer.Option(help="constrained (least error within the budget) or pareto (error and GFLOPs)."),
    ] = "constrained",
    sampler: Annotated[
        str,
        typer.Option(
            help="tpe, random, nsga2 or gp. Over-budget proposals teach nsga2 and gp nothing: they learn from "
            "finished trainings alone."
        ),
    ] = "tpe",
    pruner: Annotated[
        str | None,
        typer.Option(
            help="rungs (stop trials that are neither among the best nor on the front of their rung) or none. "
            " [default: the profile's]"
        ),
    ] = None,
    anchors: Annotated[
        str,
        typer.Option(help="Published blocks trained first: two (k3, k3+k3d2), table6, table7, all or none."),
    ] = "two",
    enqueue: Annotated[
        list[str] | None,
        typer.Option(metavar="BLOCK", help="A block of the space to try first (repeatable)."),
    ] = None,
    profile: ProfileOption = None,
    backbone: BackboneOption = None,
    workers: WorkersOption = None,
    storage: StorageOption = None,
    seed: SeedOption = 0,
    keep_weights: Annotated[str, typer.Option(help="Of which trials: front, all or none.")] = "front",
    data_dir: DataOption = None,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan", help="Measure speed for a few seconds and say what would be done; train nothing."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Search a space of SK blocks under a budget, trained on real CIFAR; repeat the command to continue."""
    from skexplore.blockfile import read_block
    from skexplore.launch import default_profile, run_plan
    from skexplore.request import Request, plan_search

    request = Request(
        budget_gflops=budget_gflops,
        budget_params_m=budget_params,
        space=space,
        dataset=dataset,
        trials=trials,
        study=study,
        mode=mode,
        sampler=sampler,
        pruner=pruner,
        anchors=anchors,
        enqueue=tuple(read_block(block) for block in enqueue or []),
        profile=profile or default_profile(),
        backbone=backbone,
        keep_weights=keep_weights,
        seed=seed,
    )
    planned = plan_search(request)
    settings = _settings(workers, time_limit, storage, data_dir)
    if plan:
        _print_plan(planned, workers, storage, as_json=as_json)
        return
    result = _watched(lambda run: run_plan(planned, run), settings)
    if as_json:
        _print_json(result)
    else:
        _print_result(result)


@search_app.command()
def train(
    block: Annotated[
        str, typer.Argument(metavar="BLOCK", help="Block notation, a block.json, or - for stdin.")
    ],
    profile: ProfileOption = None,
    dataset: DatasetOption = None,
    backbone: BackboneOption = None,
    seeds: Annotated[int, typer.Option(help="How many seeds, from --seed on.")] = 1,
    seed: SeedOption = 0,
    study: Annotated[
        str | None,
        typer.Option(
            help="Train by this study's recipe and keep the record there.  [default: a study of its own]"
        ),
    ] = None,
    workers: WorkersOption = None,
    time_limit: TimeOption = None,
    data_dir: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a block of your own by the recipe of a profile, or of a study."""
    from skexplore.blockfile import read_block
    from skexplore.cost import arch_id
    from skexplore.launch import train as run_training

    blocks = read_block(block)
    settings = _settings(workers, time_limit, None, data_dir)
    result = _watched(
        lambda run: run_training(
            blocks,
            profile=profile,
            dataset=dataset,
            backbone=backbone,
            seeds=seeds,
            seed=seed,
            study=study,
            run=run,
        ),
        settings,
    )
    own = arch_id(blocks)
    records = [
        record
        for record in result.records
        if record.arch_id == own and (record.curve or record.status == "failed")
    ]
    if as_json:
        print(json.dumps({"study": result.spec.name, "trainings": [record.row() for record in records]}))
    else:
        _print_trainings(result, own)
    asked = range(seed, seed + seeds)
    if not any(record.status == "complete" and record.seed in asked for record in records):
        raise typer.Exit(1)


def _settings(
    workers: int | None, time_limit: str | None, storage: str | None, data_dir: Path | None
) -> dict[str, object]:
    from skexplore.request import seconds_of

    return {
        "workers": workers,
        "time_limit": None if time_limit is None else seconds_of(time_limit),
        "storage": storage,
        "data_dir": data_dir,
    }


def _watched(work: Callable[[Run], Study], settings: dict[str, object]) -> Study:
    """Do ``work`` under a live display; the first Ctrl-C ends the epochs in hand, then exit 130."""
    from skexplore.display import Reporter, counted_interrupts, error_console
    from skexplore.launch import Run

    console = error_console()
    with (
        _interruptible(console.print, KEPT),
        counted_interrupts() as interrupts,
        Reporter(console) as on_progress,
    ):
        return work(
            Run(command=_command(), on_progress=on_progress, interrupts=interrupts, **settings)  # type: ignore[arg-type]
        )
    raise AssertionError  # the context managers let nothing pass


@contextmanager
def _interruptible(say: Callable[[str], object], message: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        say(message)
        raise typer.Exit(130) from None


def _command() -> str:
    """Return the command as typed, without a password that a storage URL may hold."""
    from skexplore.database import hide_password

    words = list(sys.argv[1:])
    for number, word in enumerate(words):
        if number and words[number - 1] == "--storage":
            words[number] = hide_password(word)
        elif word.startswith("--storage="):
            words[number] = f"--storage={hide_password(word.removeprefix('--storage='))}"
    return shlex.join(["skexplore", *words])


def _print_plan(planned: Plan, workers: int | None, storage: str | None, *, as_json: bool) -> None:
    from dataclasses import asdict

    from skexplore.display import error_console
    from skexplore.estimate import estimate
    from skexplore.survey import summarise

    spec = planned.spec
    with _interruptible(
        error_console().print, "interrupted while measuring; nothing was trained or written."
    ):
        found = estimate(planned, workers, storage=storage)
    summary = summarise(planned.space, spec.bounds)
    if as_json:
        print(json.dumps(asdict(summary) | asdict(found)))
        return
    about = "at most" if spec.rungs else "about"
    print(
        f"study {spec.name}: {found.trials} search trials and {found.anchors} anchor trainings to go\n"
        f"space {summary.space}: {summary.size_estimate:,} architectures, {summary.feasible:,} within the limits\n"
        f"{found.images:,} training images, {found.images_per_second:,.0f} a second on {found.devices}: "
        f"{about} {_time(found.seconds)}"
    )


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


def _print_result(study: Study) -> None:
    from skexplore.display import print_front

    name = study.spec.name
    print_front(study)
    print(f"\nNext:\n  skexplore report {name}\n  skexplore export {name} --trial best")


def _print_json(study: Study) -> None:
    from skexplore.record import status_row

    print(json.dumps(status_row(study) | {"front": [record.row() for record in study.front()]}))


def _whose(record: Record) -> str:
    return "own block" if record.sampler == "user" else record.origin


def _print_trainings(study: Study, own: str) -> None:
    """Print the trainings of one's own block, and what else was trained by the same recipe."""
    from skexplore.display import print_table

    rows = [
        {
            "block": record.block,
            "GFLOPs": f"{record.ref_macs / 1e9:.3f}",
            "#P (M)": f"{record.ref_params / 1e6:.2f}",
            "seed": str(record.seed),
            "val error": record.status if record.val_error is None else f"{100 * record.val_error:.2f} %",
            "": "yours" if record.arch_id == own else _whose(record),
        }
        for record in study.records
        if record.curve or record.status == "failed"
    ]
    print_table(rows, right=("GFLOPs", "#P (M)", "seed", "val error"), title=f"Study {study.spec.name}")
    print(f"Costs are at the reference, SKNet-50 at 224x224. {GFLOPS}")
