"""The command that measures what one training of a profile tells of a block."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from skexplore.cli.common import (
    DECIDE,
    DataOption,
    JsonOption,
    RecipeOption,
    StorageOption,
    TimeOption,
    WorkersOption,
    print_next,
    run_settings,
    watched,
)
from skexplore.cli.completion import designs, studies
from skexplore.errors import UserError
from skexplore.shipped import shipped
from skexplore.study import PROFILES
from skexplore.words import counted, listed

if TYPE_CHECKING:
    from skexplore.analysis import Signal
    from skexplore.study import Study

app = typer.Typer(rich_markup_mode=None)


@app.command(rich_help_panel=DECIDE)
def signal(
    source: Annotated[
        str,
        typer.Argument(
            metavar="[STUDY|FILE]",
            autocompletion=designs,
            help="Another panel of blocks: an ablation's name or file; any other study, or its folder, is read.",
        ),
    ] = "panel",
    profile: Annotated[
        str | None, typer.Option(help=f"{listed(PROFILES)}.  [default: the file's, quick]")
    ] = None,
    recipe: RecipeOption = None,
    backbone: Annotated[
        str | None, typer.Option(help="Network to train in, such as 16x4d-1111.  [default: the profile's]")
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(help="Seeds of every block; more than before extend it.  [default: the file's]"),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="STUDY",
            autocompletion=studies,
            help="Long trainings of the same blocks, to be compared with.",
        ),
    ] = None,
    study: Annotated[
        str | None,
        typer.Option(
            help="Name of the study.  [default: the file's, with what is not as the file says, as in panel-smoke]"
        ),
    ] = None,
    workers: WorkersOption = None,
    time_limit: TimeOption = None,
    storage: StorageOption = None,
    data_dir: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a panel of blocks with several seeds and say what one training tells; repeat to continue.

    Reliability: how much of the spread of single trainings is between blocks. Validity (--against): how alike one
    training and one long training order the blocks.
    """
    from skexplore.analysis import check_panel, signal as what_it_tells
    from skexplore.engine import is_study, run_plan
    from skexplore.plan import AblationRequest, plan_ablation
    from skexplore.study import load_study

    long = None if against is None else load_study(against)
    given = {
        "--seeds": seeds,
        "--profile": profile,
        "--recipe": recipe,
        "--backbone": backbone,
        "--study": study,
    }
    if source not in shipped("studies") and is_study(source):
        if more := [option for option, value in given.items() if value is not None]:
            raise UserError(f"{listed(more, 'and')}: study {source} is read, not trained; leave that out")
        done = load_study(source)
        _show(what_it_tells(done, long), done, names=[source, against], as_json=as_json)
        return
    asked = AblationRequest(
        source=source,
        seeds=seeds,
        profile=profile,
        recipe=recipe,
        backbone=backbone,
        study=study,
        rungs=True,
    )
    planned = plan_ablation(asked)
    check_panel(planned.spec, long)
    settings = run_settings(workers, time_limit, storage, data_dir)
    done = watched(lambda run: run_plan(planned, run), settings)
    _show(what_it_tells(done, long), done, names=[done.spec.name, against], as_json=as_json)


def _show(found: Signal, study: Study, *, names: list[str | None], as_json: bool) -> None:
    from skexplore.analysis import signal_findings, signal_words

    if as_json:
        print(json.dumps(signal_findings(found)))
        return
    own = found.reliability
    print(
        f"Study {found.study}: {own.blocks} blocks x {counted(own.seeds, 'seed')}, {found.images:,} images each "
        f"in {study.spec.backbone}"
    )
    for label, words in signal_words(found):
        print(f"{label:<13} {words}")
    if found.whole is None:
        print("Validity needs long trainings of the same blocks: --against STUDY")
    print_next(shlex.join(["skexplore", "report", *filter(None, names)]))
