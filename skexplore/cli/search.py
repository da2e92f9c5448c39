"""The commands that train: search a space, or train a block of your own."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from skexplore.cli.common import (
    SEARCH,
    BudgetActivations,
    BudgetGflops,
    BudgetMflops,
    BudgetParams,
    DataOption,
    DatasetOption,
    JsonOption,
    RecipeOption,
    ReferenceOption,
    StorageOption,
    TimeOption,
    TrackOption,
    WorkersOption,
    budget_of,
    decoded,
    groups_note,
    interruptible,
    print_next,
    print_prose,
    run_settings,
    said_time,
    said_unit,
    taps_note,
    watched,
)
from skexplore.cli.completion import spaces, studies
from skexplore.errors import UserError
from skexplore.study import DEFAULT_SAMPLER, LARGE_SPACES, LATENCY_DTYPES, PROFILES, SAMPLERS, latency_said
from skexplore.words import listed

if TYPE_CHECKING:
    from skexplore.arch import Backbone
    from skexplore.engine import Run
    from skexplore.plan import Plan, Request
    from skexplore.study import Record, Study, StudySpec

MOST_REPEATS = 1000

app = typer.Typer(rich_markup_mode=None)

_UNTAUGHT = listed((name for name, sampler in SAMPLERS.items() if not sampler.learns_budget), "and")

SpaceOption = Annotated[
    str | None,
    typer.Option(
        autocompletion=spaces,
        help="Name of a space, or a .yaml file.  [default: sk-paper, or sk-resnet or sk-light by the reference]",
    ),
]
ProfileOption = Annotated[
    str | None,
    typer.Option(
        help=", ".join(f"{name} ({profile.brief})" for name, profile in PROFILES.items())
        + ".  [default: standard with a GPU, else quick]"
    ),
]
BackboneOption = Annotated[
    str | None, typer.Option(help="Network to train in, such as 16x4d-1111.  [default: the profile's]")
]
SeedOption = Annotated[int, typer.Option(help="Seed of the sampler and first seed of the trainings.")]


@app.command(rich_help_panel=SEARCH)
def search(
    budget_gflops: BudgetGflops = None,
    budget_mflops: BudgetMflops = None,
    budget_params: BudgetParams = None,
    budget_activations: BudgetActivations = None,
    budget_latency_ms: Annotated[
        float | None,
        typer.Option(
            metavar="MS", help="Budget in milliseconds of a batch at the reference, measured on this machine."
        ),
    ] = None,
    latency_device: Annotated[
        str | None,
        typer.Option(
            help="Where latency is measured, a limit or not: cpu, or a GPU such as cuda:0.  [default: cpu]"
        ),
    ] = None,
    latency_batch: Annotated[int | None, typer.Option(help="Images at a time there.  [default: 1]")] = None,
    latency_dtype: Annotated[
        str | None, typer.Option(help=f"{listed(LATENCY_DTYPES)}.  [default: float32]")
    ] = None,
    latency_threads: Annotated[
        int | None, typer.Option(help="Threads of torch there, on a CPU.  [default: 1]")
    ] = None,
    space: SpaceOption = None,
    reference: ReferenceOption = None,
    dataset: DatasetOption = None,
    trials: Annotated[
        int | None,
        typer.Option(help="Trainings over the study's life, anchors not counted.  [default: the profile's]"),
    ] = None,
    replicates: Annotated[
        int | None,
        typer.Option(help="Of these, fresh seeds of what may be best, at the end.  [default: every fifth]"),
    ] = None,
    time_limit: TimeOption = None,
    study: Annotated[
        str | None, typer.Option(autocompletion=studies, help="Name; the same name continues a study.")
    ] = None,
    mode: Annotated[
        str,
        typer.Option(help="constrained (least error within the budget) or pareto (error and GFLOPs)."),
    ] = "constrained",
    sampler: Annotated[
        str | None,
        typer.Option(
            help=f"{listed(SAMPLERS)}. Over-budget proposals teach {_UNTAUGHT} nothing: they learn from finished "
            f"trainings alone.  [default: {DEFAULT_SAMPLER}; {LARGE_SPACES} in a space too large to be modelled]"
        ),
    ] = None,
    pruner: Annotated[
        str | None,
        typer.Option(
            help="rungs (after ten whole trials, stop those that are neither among the best nor on the front of a "
            "rung that was found to tell) or none. "
            " [default: the profile's]"
        ),
    ] = None,
    anchors: Annotated[
        str,
        typer.Option(
            help="Published blocks trained first: two (k3 and the paper's block), table6, table7, all or none."
        ),
    ] = "two",
    anchor_seeds: Annotated[
        int | None,
        typer.Option(
            help="Seeds of each anchor: their spread is the noise.  [default: the profile's, 2 or 3]"
        ),
    ] = None,
    enqueue: Annotated[
        list[str] | None,
        typer.Option(metavar="BLOCK", help="A block of the space to try first (repeatable)."),
    ] = None,
    reuse: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STUDY",
            autocompletion=studies,
            help="A search whose trials this one begins with, as they were measured there (repeatable).",
        ),
    ] = None,
    profile: ProfileOption = None,
    recipe: RecipeOption = None,
    backbone: BackboneOption = None,
    workers: WorkersOption = None,
    storage: StorageOption = None,
    seed: SeedOption = 0,
    repeats: Annotated[
        int,
        typer.Option(
            help="Searches that differ in their seed alone, from --seed on, each a study of its own."
        ),
    ] = 1,
    keep_weights: Annotated[
        str, typer.Option(help="Of which trainings: front, anchors (and the front), all or none.")
    ] = "front",
    data_dir: DataOption = None,
    track: TrackOption = None,
    plan: Annotated[
        bool,
        typer.Option(
            "--plan", help="Measure speed for a few seconds and say what would be done; train nothing."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Search a space of SK blocks under a budget, trained on real CIFAR; repeat the command to continue."""
    from skexplore.engine import default_profile, run_plans
    from skexplore.export import read_choice
    from skexplore.plan import Request, plan_search, space_of

    request = Request(
        budget_gflops=budget_of(budget_gflops, budget_mflops),
        budget_params_m=budget_params,
        budget_activations_m=budget_activations,
        budget_latency_ms=budget_latency_ms,
        latency_device=latency_device,
        latency_batch=latency_batch,
        latency_dtype=latency_dtype,
        latency_threads=latency_threads,
        space=space,
        reference=reference,
        dataset=decoded(dataset),
        trials=trials,
        replicates=replicates,
        study=study,
        mode=mode,
        sampler=sampler,
        pruner=pruner,
        anchors=anchors,
        anchor_seeds=anchor_seeds,
        reuse=tuple(reuse or ()),
        profile=profile or default_profile(),
        recipe=recipe,
        backbone=backbone,
        keep_weights=keep_weights,
        seed=seed,
    )
    if enqueue:
        chosen = space_of(request)
        blocks = tuple(read_choice(block, chosen.reference) for block in enqueue)
        request = replace(request, space=chosen, enqueue=blocks)
    plans = [plan_search(each) for each in _repeated(request, repeats)]
    settings = run_settings(workers, time_limit, storage, data_dir)
    if plan:
        _print_plan(plans, settings, as_json=as_json)
        return
    results = watched(lambda run: run_plans(plans, run), settings, track)
    if repeats > 1:
        _print_repeats(results, plans, as_json=as_json)
    elif as_json:
        _print_json(results[0])
    else:
        _print_result(results[0])


def _repeated(request: Request, repeats: int) -> list[Request]:
    """Return the requests of as many searches, each with a seed and a study of its own; raises ``UserError``."""
    from skexplore.plan import space_of

    if not 1 <= repeats <= MOST_REPEATS:
        raise UserError(f"--repeats {repeats}: must be between 1 and {MOST_REPEATS}")
    if repeats == 1:
        return [request]
    space = space_of(request)
    return [
        replace(
            request,
            space=space,
            seed=seed,
            study=None if request.study is None else f"{request.study}-s{seed}",
        )
        for seed in range(request.seed, request.seed + repeats)
    ]


@app.command(rich_help_panel=SEARCH)
def train(
    block: Annotated[
        str, typer.Argument(metavar="BLOCK", help="Block notation, a block.json, or - for stdin.")
    ],
    profile: ProfileOption = None,
    recipe: RecipeOption = None,
    dataset: DatasetOption = None,
    backbone: BackboneOption = None,
    reference: ReferenceOption = None,
    seeds: Annotated[int, typer.Option(help="How many seeds, from --seed on.")] = 1,
    seed: SeedOption = 0,
    study: Annotated[
        str | None,
        typer.Option(
            autocompletion=studies,
            help="Train by this study's recipe and keep the record there.  [default: a study of its own]",
        ),
    ] = None,
    workers: WorkersOption = None,
    time_limit: TimeOption = None,
    data_dir: DataOption = None,
    track: TrackOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a block of your own by the recipe of a profile, or of a study."""
    from skexplore.engine import train as run_training
    from skexplore.export import read_choice

    blocks = read_choice(block, _written_for(study, reference))
    settings = run_settings(workers, time_limit, None, data_dir)
    result = watched(
        lambda run: run_training(
            blocks=blocks,
            profile=profile,
            recipe=recipe,
            dataset=decoded(dataset),
            backbone=backbone,
            reference=reference,
            seeds=seeds,
            seed=seed,
            study=study,
            run=run,
        ),
        settings,
        track,
    )
    own = result.spec.at_reference(blocks).id
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


def _written_for(study: str | None, reference: str | None) -> Backbone:
    """Return the reference of a training: the study's, where that is there already."""
    from skexplore.arch import get_reference
    from skexplore.engine import is_study
    from skexplore.study import load_study

    if study is not None and reference is None and is_study(study):
        return load_study(study).spec.reference_body
    return get_reference(reference)


def _print_plan(plans: Sequence[Plan], settings: Run, *, as_json: bool) -> None:
    from skexplore.arch import get_backbone
    from skexplore.cli.display import error_console
    from skexplore.engine import estimate
    from skexplore.space import idle_budgets, summarise

    plan, names = plans[0], [plan.spec.name for plan in plans]
    with interruptible(error_console().print, "interrupted while measuring; nothing was trained or written."):
        found = estimate(plans, settings.workers, storage=settings.storage)
    idle = idle_budgets(plan.space, *plan.spec.budget)
    body = plan.spec.split.around(get_backbone(plan.spec.backbone))
    for note in filter(None, [*idle, taps_note(plan.space, body), groups_note(plan.space, body)]):
        print(note, file=sys.stderr if as_json else sys.stdout)
    if as_json:
        more = {"studies": names} if len(names) > 1 else {}
        print(json.dumps(asdict(summarise(plan.space, plan.spec.bounds)) | asdict(found) | more))
        return
    which = f"study {names[0]}" if len(names) == 1 else f"{len(names)} studies, {names[0]} to {names[-1]}"
    if found.images_per_second is None:
        print(f"{which}: nothing is left to train; give a larger --trials to go on")
        return
    summary, about = summarise(plan.space, plan.spec.bounds), "at most" if plan.spec.rungs else "about"
    print(
        f"{which}: {found.trials} trainings of the search, {found.replicates} of them of its leaders again, and "
        f"{found.anchors} of anchors to go\n"
        f"{_how(plan)}\n"
        f"space {summary.space}: {'' if summary.exact else 'about '}{summary.size_estimate:,} architectures, "
        f"{summary.feasible_words} within the limits"
        f"{_latency_note(plan.spec)}\n"
        f"{found.images:,} training images, {found.images_per_second:,.0f} a second on {found.devices}: "
        f"{about} {said_time(found.seconds)}"
    )


def _how(plan: Plan) -> str:
    """Return who proposes and how it is trained, in one line."""
    spec = plan.spec
    anchors = dict.fromkeys(spec.text_of(each.architecture) for each in plan.beside)
    return (
        f"sampler {spec.sampler}; profile {spec.profile}, {spec.recipe.epochs} x {spec.split.train_images:,} images in "
        f"{spec.backbone}; blocks for {spec.reference_words}"
        + (f"; anchors {', '.join(anchors)}" if anchors else "")
    )


def _latency_note(spec: StudySpec) -> str:
    """Return what the limits do not count yet: latencies."""
    if spec.latency is None:
        return ""
    limit = "" if spec.budget_latency_ms is None else f", at most {latency_said(spec.budget_latency_ms)}"
    return f" that are counted; latency is measured block by block{limit} ({spec.latency.words})"


def _print_result(study: Study) -> None:
    from skexplore.cli.display import print_front

    name = study.spec.name
    print_front(study)
    print_next(
        f"skexplore report {name}", f"skexplore confirm {name}", f"skexplore export {name} --trial best"
    )


def _print_repeats(results: Sequence[Study], plans: Sequence[Plan], *, as_json: bool) -> None:
    """Print how far repeats of a search are, and how to compare them."""
    from skexplore.cli.display import print_table
    from skexplore.study import status_row

    rows = [status_row(study) for study in results]
    if as_json:
        print(json.dumps(rows))
    else:
        shown = ("study", "state", "trained", "target", "best_block")
        table = [
            {name.replace("_", " "): "none yet" if row[name] is None else str(row[name]) for name in shown}
            for row in rows
        ]
        errors = [
            "" if row["best_val_error"] is None else f"{100 * row['best_val_error']:.2f} %" for row in rows
        ]
        print_table([each | {"val error": error} for each, error in zip(table, errors, strict=True)])
        if len(rows) > 1:
            print_next(shlex.join(["skexplore", "compare", *(row["study"] for row in rows)]))
    if len(results) < len(plans):
        left = f"{len(plans) - len(results)} of {len(plans)} searches were not reached"
        print(f"the time limit is reached, {left}; the same command goes on", file=sys.stderr)


def _print_json(study: Study) -> None:
    from skexplore.study import status_row

    print(json.dumps(status_row(study) | {"front": [record.row() for record in study.front]}))


def _whose(record: Record) -> str:
    return "own block" if record.sampler == "user" else record.origin


def _print_trainings(study: Study, own: str) -> None:
    """Print the trainings of the user's own block, and what else was trained by the same recipe."""
    from skexplore.cli.display import print_table

    unit = study.spec.flops_unit
    rows = [
        {
            "block": record.block,
            unit.name: unit.of(record.ref_macs),
            "#P (M)": f"{record.ref_params / 1e6:.2f}",
            "seed": str(record.seed),
            "val error": record.status if record.val_error is None else f"{100 * record.val_error:.2f} %",
            "": "yours" if record.arch_id == own else _whose(record),
        }
        for record in study.records
        if record.curve or record.status == "failed"
    ]
    print_table(rows, right=(unit.name, "#P (M)", "seed", "val error"), title=f"Study {study.spec.name}")
    print_prose(f"Costs are at the reference, {study.spec.reference_words}. {said_unit(unit)}")
    print_next(f"skexplore report {study.spec.name}")
