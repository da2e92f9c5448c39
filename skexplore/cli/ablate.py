"""The commands that train a design instead of a search: ablations, and the confirmation of finalists."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from skexplore.cli.common import (
    DECIDE,
    SEARCH,
    DataOption,
    DatasetOption,
    JsonOption,
    RecipeOption,
    ReferenceOption,
    StorageOption,
    TimeOption,
    TrackOption,
    WorkersOption,
    decoded,
    interruptible,
    print_next,
    print_prose,
    run_settings,
    said_time,
    watched,
)
from skexplore.cli.completion import designs, studies
from skexplore.shipped import shipped
from skexplore.study import PROFILES
from skexplore.words import counted, listed

if TYPE_CHECKING:
    from skexplore.engine import Run
    from skexplore.plan import Plan
    from skexplore.study import Study, Variant

app = typer.Typer(rich_markup_mode=None)

SeedsOption = Annotated[
    int | None,
    typer.Option(help="Seeds of every variant; more than before extend it.  [default: the file's]"),
]
PlanOption = Annotated[
    bool, typer.Option("--plan", help="Say what would be trained and how long it takes; train nothing.")
]


@app.command(rich_help_panel=SEARCH)
def ablate(
    source: Annotated[
        str,
        typer.Argument(
            metavar="STUDY|FILE",
            autocompletion=designs,
            help=f"{', '.join(shipped('studies', here=False))}, or a .yaml file.",
        ),
    ],
    seeds: SeedsOption = None,
    seed: Annotated[int, typer.Option(help="First seed.")] = 0,
    profile: Annotated[str | None, typer.Option(help=f"{listed(PROFILES)}.  [default: the file's]")] = None,
    recipe: RecipeOption = None,
    backbone: Annotated[
        str | None, typer.Option(help="Network to train in, such as 16x4d-1111.  [default: the file's]")
    ] = None,
    reference: ReferenceOption = None,
    dataset: DatasetOption = None,
    study: Annotated[
        str | None,
        typer.Option(
            help="Name of the study.  [default: the file's, with what is not as the file says, as in table7-smoke]"
        ),
    ] = None,
    reuse: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STUDY",
            autocompletion=studies,
            help="A study or archive whose same trainings are taken over (repeatable).",
        ),
    ] = None,
    workers: WorkersOption = None,
    time_limit: TimeOption = None,
    storage: StorageOption = None,
    data_dir: DataOption = None,
    track: TrackOption = None,
    plan: PlanOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train every variant of an ablation with the same seeds and compare them; repeat to continue."""
    from skexplore.plan import AblationRequest, plan_ablation

    planned = plan_ablation(
        AblationRequest(
            source=source,
            seeds=seeds,
            seed=seed,
            profile=profile,
            recipe=recipe,
            backbone=backbone,
            reference=reference,
            dataset=decoded(dataset),
            study=study,
            reuse=tuple(reuse or ()),
        )
    )
    settings = run_settings(workers, time_limit, storage, data_dir)
    _carry_out(planned, settings, track, plan=plan, as_json=as_json)


@app.command(rich_help_panel=DECIDE)
def confirm(
    study: Annotated[
        str, typer.Argument(metavar="STUDY", autocompletion=studies, help="A search, or its archive.")
    ],
    top: Annotated[
        int | None,
        typer.Option(
            help="How many finalists, the most believed first.  [default: all that may be the best, or, where that is "
            "not known, three of the front]"
        ),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Fresh seeds of each; more than before extend it.  [default: 3]")
    ] = None,
    profile: Annotated[
        str | None, typer.Option(help="Train at this scale.  [default: the search's, twice as long]")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--study", help="Name of the confirmation.  [default: STUDY-confirm]")
    ] = None,
    workers: WorkersOption = None,
    time_limit: TimeOption = None,
    storage: StorageOption = None,
    data_dir: DataOption = None,
    track: TrackOption = None,
    plan: PlanOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train a search's finalists longer with fresh seeds beside anchors and random blocks, and read the test set."""
    from skexplore.plan import ConfirmRequest, plan_confirmation

    planned = plan_confirmation(ConfirmRequest(study=study, top=top, seeds=seeds, profile=profile, name=name))
    settings = run_settings(workers, time_limit, storage, data_dir)
    design = planned.spec.ablation
    assert design is not None
    found = sum(variant.role == "finalist" for variant in design.variants)
    if top is not None and found < top:
        print(f"--top {top}: {study} has {counted(found, 'block')} to confirm", file=sys.stderr)
    _carry_out(planned, settings, track, plan=plan, as_json=as_json)


def _carry_out(planned: Plan, settings: Run, track: str | None, *, plan: bool, as_json: bool) -> None:
    """Show what ``planned`` would do, or do it and print what came of it."""
    from skexplore.engine import run_plan
    from skexplore.study import cells

    if plan:
        _print_plan(planned, settings, as_json=as_json)
        return
    result = watched(lambda run: run_plan(planned, run), settings, track)
    _print_result(result, as_json=as_json)
    failed = sum(record.status == "failed" for record in cells(result.spec, result.records).values())
    if failed:
        print(f"{failed} trainings failed; repeat the command to try them again", file=sys.stderr)
        raise typer.Exit(1)


def _print_result(study: Study, *, as_json: bool) -> None:
    from skexplore.analysis import (
        ablation_findings,
        confirmation_table,
        design_of,
        effects,
        effects_table,
        finalists_words,
        is_confirmation,
        records_of,
        same_networks,
        statements,
    )
    from skexplore.cli.display import print_table

    confirms = is_confirmation(study)
    if as_json:
        said = ablation_findings(study)
        if confirms:
            said |= {"finalists": records_of(confirmation_table(study)), "sentences": finalists_words(study)}
        print(json.dumps(said))
        return
    found = effects(study)
    table = records_of(confirmation_table(study) if confirms else effects_table(study, found))
    own = design_of(study).baseline
    baseline = same_networks(study)[own] or own  # where it is drawn
    rows = [_finalist_row(row) if confirms else _variant_row(row, baseline) for row in table]
    print_table(
        rows, right=("n", "mean, %", "sd", "search, %", "val, %", "test, %"), title=f"Study {study.spec.name}"
    )
    for sentence in finalists_words(study) if confirms else statements(study, found):
        print_prose(sentence)
    print_next(f"skexplore report {study.spec.name}")


def _variant_row(row: dict[str, Any], baseline: str) -> dict[str, str]:
    same = f"same network as {row['same_as']}" if row["same_as"] else ""
    verdict = "baseline" if row["variant"] == baseline else row["verdict"]
    return {
        "variant": row["variant"],
        "n": str(row["n"]),
        "mean, %": _percent(row["mean"]),
        "sd": _percent(row["sd"]),
        "95 %": "" if row["low"] is None else f"{_percent(row['low'])} to {_percent(row['high'])}",
        "GFLOPs": f"{row['ref_macs'] / 1e9:.3f}",
        "against the baseline": same or (row["status"] if row["status"] != "complete" else verdict),
    }


def _finalist_row(row: dict[str, Any]) -> dict[str, str]:
    low, high = row["test_low"], row["test_high"]
    return {
        "block": row["variant"],
        "role": row["role"],
        "n": str(row["n"]),
        "search, %": _percent(row["searched_error"]),
        "val, %": _percent(row["val_mean"]),
        "test, %": _percent(row["test_mean"]),
        "95 %": "" if low is None else f"{_percent(low)} to {_percent(high)}",
    }


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.2f}"


def _print_plan(planned: Plan, settings: Run, *, as_json: bool) -> None:
    from skexplore.cli.display import error_console, print_table
    from skexplore.engine import estimate

    spec, design = planned.spec, planned.spec.ablation
    assert design is not None
    with interruptible(error_console().print, "interrupted while measuring; nothing was trained or written."):
        found = estimate([planned], settings.workers, storage=settings.storage)
    rows = [
        {
            "variant": variant.name,
            "network": variant.network,
            **({"role": variant.role} if design.of else {"in the paper": _printed(variant)}),
        }
        for variant in design.variants
    ]
    if as_json:
        print(json.dumps({"study": spec.name, "seeds": design.seeds, "variants": rows} | asdict(found)))
        return
    print_table(rows, title=f"Study {spec.name}: baseline {design.baseline}")
    whole = f"{len(rows)} variants x {counted(design.seeds, 'seed')}, {_trainings(planned)}"
    if found.images_per_second is None:
        print(f"{whole}: nothing is left to train")
        return
    print(
        f"{whole}, {found.anchors} to go\n"
        f"{counted(spec.recipe.epochs, 'epoch')} of {spec.split.train_images:,} images in {spec.backbone}\n"
        f"{found.images:,} training images, {found.images_per_second:,.0f} a second on {found.devices}: "
        f"about {said_time(found.seconds)}"
    )


def _printed(variant: Variant) -> str:
    return variant.printed.system if variant.printed else ""


def _trainings(planned: Plan) -> str:
    """Return how many trainings a design is; variants that are one network share theirs."""
    design = planned.spec.ablation
    assert design is not None
    same = design.trainings - len(planned.beside)
    shared = f" (variants that are one network share {same})" if same else ""
    return f"{counted(len(planned.beside), 'training')}{shared}"
