"""``bench search``: searches played without a training, on analytic errors or on a recorded table."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from skexplore.cli.common import JsonOption
from skexplore.cli.completion import studies
from skexplore.errors import UserError, check_one_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from skexplore.bench import Comparison, Landscape, Recorded, Verdicts

COMPARED = 100  # searches of each competitor on a table that go on until they have found the best
RULES = (
    "A search ends with its first block of the last share; one that misses a share counts as the cap. skexplore's\n"
    "searches run by its own rules: what is over the budget or known is not trained. Optuna as it comes: create_study\n"
    "with its default sampler, seeded and told the constraint; every proposal is trained and counts, and only a block\n"
    "within the budget reaches a share. All competitors have the same seeds."
)


def bench_search(
    space: Annotated[
        str | None,
        typer.Option(help="Search space: a name, or a YAML file. Default sk-paper; a table has its own."),
    ] = None,
    budget_gflops: Annotated[
        float | None,
        typer.Option(
            help="Budget at the reference, in 10^9 multiply-adds (called GFLOPs). Default 4.5; a table has its own."
        ),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(help="Which analytic error: mixed or layered, or both with all, the default."),
    ] = None,
    table: Annotated[
        list[str] | None,
        typer.Option(
            metavar="STUDY",
            autocompletion=studies,
            help="Play on recorded trainings, such as sk-table. Again for more studies: sk-table-best.",
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="With --table: trainings of a search that names a block."),
    ] = None,
    replicates: Annotated[
        int | None,
        typer.Option(min=0, help="With --table: how many of them are fresh seeds of its leaders."),
    ] = None,
    repeats: Annotated[
        int,
        typer.Option(
            min=1,
            max=10_000,
            help=f"Searches of each competitor; with --table at most {COMPARED} of those that go on to the best block.",
        ),
    ] = 20,
    seed: Annotated[int, typer.Option(min=0, max=10**9, help="Seed of the first search.")] = 0,
    workers: Annotated[
        int,
        typer.Option(min=1, max=256, help="Processes that play side by side."),
    ] = 1,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Two searches of at most 30 trainings each; no numbers to quote."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Play whole searches without a training: how soon they find a good block, and with --table what they name."""
    repeats = min(repeats, 2) if quick else repeats
    if table:
        for option, value in (
            ("--space", space),
            ("--budget-gflops", budget_gflops),
            ("--objective", objective),
        ):
            if value is not None:
                raise UserError(f"{option} {value}: a table has its own; leave {option} or --table out")
        _on_table(table, trials, replicates, repeats, seed, workers, quick=quick, as_json=as_json)
        return
    for option, value in (("--trials", trials), ("--replicates", replicates)):
        if value is not None:
            raise UserError(
                f"{option} {value}: needs --table, such as --table sk-table --table sk-table-best"
            )
    _on_objectives(
        space or "sk-paper",
        budget_gflops or 4.5,
        objective or "all",
        repeats,
        seed,
        workers,
        quick=quick,
        as_json=as_json,
    )


def _on_objectives(
    space: str,
    budget_gflops: float,
    objective: str,
    repeats: int,
    seed: int,
    workers: int,
    *,
    quick: bool,
    as_json: bool,
) -> None:
    from skexplore.bench import CAP, OBJECTIVES, analytic, compare, distinct
    from skexplore.space import Space, check_budget

    check_one_of("--objective", objective, (*OBJECTIVES, "all"))
    chosen, found = Space.load(space), []
    check_budget(chosen, budget_gflops, None)
    blocks = distinct(chosen)
    for name in OBJECTIVES if objective == "all" else [objective]:
        each = compare(
            partial(_same, analytic(chosen, blocks, name, budget_gflops)),
            name,
            repeats=repeats,
            seed=seed,
            cap=30 if quick else CAP,
            processes=workers,
            progress=_tell,
        )
        found.append(each)
        if not as_json:
            _print_comparison(each)
    if as_json:
        print(json.dumps([asdict(each) for each in found]))
        return
    print(
        "Method: the error of a block is an analytic objective of its fields, kernels, groups, attention\n"
        "and cost and a part hashed from its identity; nothing is trained. The best shares are of all distinct blocks\n"
        "within the budget, counted one by one. These are no errors of trained networks.\n" + RULES
    )


def _same(land: Landscape, _seed: int) -> Landscape:
    return land


def _tell(text: str) -> None:
    print(text, file=sys.stderr)


def _print_comparison(found: Comparison) -> None:
    from skexplore.bench import COMPETITORS

    print(
        f"{found.space} within {found.budget_gflops:g} GFLOPs, {found.objective}: {found.feasible:,} of "
        f"{found.distinct:,} distinct blocks\ntrainings until one of the best share, median (quartiles) of "
        f"{found.repeats} searches, at most {found.cap}\n"
    )
    shares = [f"best {100 * one.share:g} %" for one in found.competitors[0].reached]
    print(f"{'':<30}" + "".join(f"{share:<28}" for share in shares).rstrip())
    for each in found.competitors:
        cells = [
            f"{one.median:g} ({one.low:g} to {one.high:g})" + (f", {one.missed} missed" if one.missed else "")
            for one in each.reached
        ]
        print(f"{COMPETITORS[each.name]:<30}" + "".join(f"{cell:<28}" for cell in cells).rstrip())
    for words, ratios in (("Optuna", found.times_optuna), ("random", found.times_random)):
        print(f"{f'{words} / {found.own}':<30}" + "".join(f"{ratio:<28.2f}" for ratio in ratios).rstrip())
    plain = next(each for each in found.competitors if each.name == "optuna")
    print(
        f"Of Optuna's {plain.trained:,} trainings {100 * plain.duplicates:.1f} % were of blocks trained before and "
        f"{100 * plain.over_budget:.1f} % over the budget; skexplore trains none of either."
    )
    missed = [share for share, ratio in zip(shares, found.times_optuna, strict=True) if ratio < 2]
    if missed:
        print(f"The aim, at most half of Optuna's trainings, is missed for: {', '.join(missed)}.")
    else:
        print("The aim, at most half of Optuna's trainings, is met for every share.")
    print()


def _on_table(
    table: Sequence[str],
    trials: int | None,
    replicates: int | None,
    repeats: int,
    seed: int,
    workers: int,
    *,
    quick: bool,
    as_json: bool,
) -> None:
    from skexplore.bench import CAP, Recorded, compare, judge
    from skexplore.study import get_profile, read_table, usual_replicates

    recorded = Recorded(read_table(table))
    trials = trials or get_profile(recorded.spec.profile).trials
    replicates = usual_replicates(trials) if replicates is None else replicates
    if replicates >= trials:
        raise UserError(
            f"--replicates {replicates}: must be less than --trials {trials}, which counts them too"
        )
    comparison = compare(
        recorded.world,
        f"the table {', '.join(table)}",
        repeats=min(repeats, COMPARED),
        seed=seed,
        cap=30 if quick else CAP,
        processes=workers,
        progress=_tell,
    )
    verdicts = judge(
        recorded,
        trials=trials,
        replicates=replicates,
        repeats=repeats,
        seed=seed,
        processes=workers,
        progress=_tell,
    )
    if as_json:
        found = {
            "table": list(table),
            "blocks": len(recorded.errors),
            "trainings": recorded.trainings,
            "noise": asdict(recorded.noise),
            "kernel": asdict(recorded.kernel),
            "trials": trials,
            "replicates": replicates,
            "comparison": asdict(comparison),
            "verdicts": [asdict(each) for each in verdicts],
        }
        print(json.dumps(found))
        return
    print(
        f"{len(recorded.errors):,} blocks in {recorded.trainings:,} recorded trainings; a training's noise is "
        f"{100 * recorded.noise.sd:.2f} points\n"
    )
    _print_comparison(comparison)
    _print_verdicts(verdicts, recorded, trials, replicates)


def _print_verdicts(verdicts: Sequence[Verdicts], recorded: Recorded, trials: int, replicates: int) -> None:
    from skexplore.bench import CONTENDERS
    from skexplore.cli.display import print_table

    print(
        f"what searches of {trials} trainings name ({replicates} of them fresh seeds of leaders), "
        f"{verdicts[0].searches} of each"
        + "".join(
            f", {each.searches} of {each.name}" for each in verdicts if each.searches < verdicts[0].searches
        )
    )
    print_table(
        [
            {
                "search": CONTENDERS[each.name].words,
                "best 5 %": _percent(each.best_5),
                "best 1 %": _percent(each.best_1),
                "beats paper's": _percent(each.beats_paper),
                "beats k3": _percent(each.beats_plain),
                "regret": _points(each.regret),
            }
            for each in verdicts
        ]
    )
    print("\nwhat they say of it, and what is true")
    print_table(
        [
            {
                "search": CONTENDERS[each.name].words,
                "shown - true": _points(each.off),
                "90 % held": _of(each.covered, each.intervals),
                "set held": _of(each.set_held, each.sets),
                "said / true": _said(each.said, each.said_and_true),
                "unseen seeds": _of(each.unseen_beats_both, each.unseen),
            }
            for each in verdicts
        ]
    )
    if all(each.name != "smac" for each in verdicts):
        print('SMAC is not installed here: pip install "skexplore[bench]"')
    kernel = recorded.kernel
    print(
        "\nMethod: the truth of a world is a draw of a Gaussian process given the table (standard deviation between\n"
        f"blocks {100 * kernel.spread:.1f} points; of its square {kernel.linear:.0%} linear in the features, "
        f"{kernel.smooth:.0%} smooth, {kernel.own:.0%}\n"
        "a block's own). Trainings of blocks in the table have the errors that were recorded, in another order in\n"
        "each world; all others the true error of the world and the noise of one training: a surrogate, no errors of\n"
        "trained networks. Each search has a world of its own, all contenders the same. Anchors are trained first and\n"
        "count nowhere. Regret: how much better the best block is, in points. 90 % held: intervals that held the\n"
        "truth. Set held: sets of what may be best that held the best of what was tried (stated: 95 %). Said / true:\n"
        "the mean chance that was stated to beat the paper's block, and how often it was so. Unseen seeds: of\n"
        "searches that name a block with recorded errors that they did not meet, those where these are below both\n"
        "anchors'. The features are those of skexplore's model, which worlds of other features would suit less.\n"
        + RULES
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _points(value: float | None) -> str:
    return "" if value is None else f"{100 * value:+.2f}"


def _said(said: float | None, true: float | None) -> str:
    return "" if said is None or true is None else f"{100 * said:.1f} / {100 * true:.1f} %"


def _of(share: float | None, count: int) -> str:
    return "" if share is None else f"{100 * share:.1f} % of {count}"
