"""The commands about search spaces: list, show, new. Nothing is trained."""

from __future__ import annotations

import json
import math
import shlex
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from skexplore.cli.common import (
    GFLOPS,
    SEARCH,
    BudgetGflops,
    BudgetParams,
    JsonOption,
    print_next,
    print_prose,
    printable,
    taps_note,
)
from skexplore.cli.completion import spaces

if TYPE_CHECKING:
    from skexplore.arch import Bound
    from skexplore.space import Space, SpaceSummary

app = typer.Typer(
    name="space",
    no_args_is_help=True,
    rich_markup_mode=None,
    rich_help_panel=SEARCH,
    help="Look at search spaces, or begin one.",
)


@app.command("list")
def space_list(as_json: JsonOption = False) -> None:
    """Print the search spaces known by name."""
    from skexplore.space import Space, shipped_spaces

    spaces = [(name, Space.load(name)) for name in shipped_spaces()]
    if as_json:
        rows = [
            {"name": name, "description": each.description, "raw_size": each.raw_size}
            for name, each in spaces
        ]
        print(json.dumps(rows))
        return
    for name, each in spaces:
        print(f"{name:<16} {each.raw_size:>18,} combinations  {printable(each.description)}")
    print_next("skexplore space show sk-paper --budget-gflops 4.5")


TEMPLATE = """\
# A search space: a base block, and decisions that change it. Check it with: skexplore space show {path}
name: {name}
description: what this space is for
base: k3                              # block notation: what no decision changes stays as it is here
decisions:                            # each is a path and the levels that a search may choose
  branches.1: [k3, k5]                # kK or kKdD (kernel, dilation)
  branches.1.groups: [32, 64]         # groups at cardinality 32
  branches.2: [none, k1, k3d2, k3d3]  # none takes the branch away
  reduction: [8, 16, 32]              # r of d = max(C / r, L), Eq. 4 of the paper
  min_dim: [16, 32]                   # the floor L; 1 means none
  fuse: [select, sum]                 # softmax attention, or the plain sum
  # stages.4.branches.2: [none, k3d2] # one stage may decide for itself
# conditions:                         # in order: where all of when holds, then counts as chosen
#   - when: {{branches.1: k5, reduction: [8, 16]}}
#     then: {{fuse: sum}}
# constraints:                        # bands at the reference; blocks outside are never trained
#   gflops: [4.0, 4.6]                # 10^9 multiply-adds, [least, most]; null for no limit
#   params_m: [null, 29]              # 10^6 parameters
"""


@app.command("new")
def space_new(path: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="The file to write.")]) -> None:
    """Write a commented space to begin from."""
    from skexplore.errors import UserError
    from skexplore.files import write_atomic
    from skexplore.space import NAME

    if path.suffix not in (".yaml", ".yml") or not NAME.fullmatch(path.stem):
        raise UserError(f"{path}: must be a .yaml file named in letters, digits, '.', '_' and '-'")
    if path.exists():
        raise UserError(f"{path}: exists already; choose another name")
    try:
        write_atomic(path, TEMPLATE.format(path=path, name=path.stem))
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from None
    print(path)
    print_next(f"skexplore space show {shlex.quote(str(path))}")


@app.command("show")
def space_show(
    space: Annotated[
        str, typer.Argument(metavar="SPACE", autocompletion=spaces, help="Name of a space, or a .yaml file.")
    ],
    budget_gflops: BudgetGflops = None,
    budget_params: BudgetParams = None,
    as_json: JsonOption = False,
) -> None:
    """Print what a search space holds: decisions, size, reference costs, and what a budget leaves of it."""
    from skexplore.arch import REFERENCE, get_backbone
    from skexplore.space import Space, check_budget, idle_budgets, summarise
    from skexplore.study import PROFILES

    chosen = Space.load(space)
    proxies = {profile.backbone: get_backbone(profile.backbone) for profile in PROFILES.values()}
    if chosen.stagewise:  # blocks of single stages are not for the profile whose network has three
        proxies = {
            name: proxy for name, proxy in proxies.items() if len(proxy.stages) == len(REFERENCE.stages)
        }
    for _, proxy in sorted(proxies.items()):
        chosen.check_buildable(proxy)
    used_by = {name: [each.name for each in PROFILES.values() if each.backbone == name] for name in proxies}
    taps = [taps_note(chosen, proxy, used_by[name]) for name, proxy in proxies.items()]
    bounds = check_budget(chosen, budget_gflops, budget_params)
    summary = summarise(chosen, bounds)
    if as_json:
        for note in filter(None, taps):
            print(note, file=sys.stderr)
        print(json.dumps(asdict(summary)))
        return
    _print_space(chosen)
    _print_summary(summary, bounds)
    for note in filter(None, [*idle_budgets(chosen, budget_gflops, budget_params), *taps]):
        print_prose(note)
    budgets = {"--budget-gflops": budget_gflops, "--budget-params": budget_params}
    given = [word for name, value in budgets.items() if value for word in (name, str(value))]
    half = math.ceil(summary.macs_median / 1e8) / 10  # a budget that half of the space keeps
    usual = ["--budget-gflops", f"{half:g}"]
    print_next(shlex.join(["skexplore", "search", "--space", space, *(given or usual), "--plan"]))


def _print_space(space: Space) -> None:
    about = printable(space.description)
    print(f"{space.name}{': ' if about else ''}{about}\nbase {space.base}\n")
    for path, levels in space.decisions.items():
        print(f"  {path:<20} {_listed(levels)}")
    for condition in space.conditions:
        when = " and ".join(
            f"{path} is {' or '.join(map(str, levels))}" for path, levels in condition.when.items()
        )
        then = ", ".join(f"{path} = {level}" for path, level in condition.then.items())
        print(f"  when {when}: {then}")
    for bound in space.bounds:
        print(f"  constraint: {bound.text}")


def _listed(values: Iterable[object]) -> str:
    return ", ".join(map(str, values))


def _print_summary(summary: SpaceSummary, bounds: tuple[Bound, ...]) -> None:
    size, estimated = f"{summary.size:,} distinct architectures", f"{summary.size_estimate:,}"
    if not summary.exact:
        interval = f"{summary.size_low:,} to {summary.size_high:,}"
        size = f"at most {size}; about {estimated} (95 %: {interval})"
        if summary.combinations:
            size = f"between {interval} distinct architectures: too many to count"
    print(f"\n{size}")
    limits = {bound.of_space: "the constraints" if bound.of_space else "the budget" for bound in bounds}
    within = f" within {' and '.join(limits.values())}" if limits else ""
    share = f"{100 * summary.feasible_share:.1f} %"
    if summary.feasible_share_low < summary.feasible_share_high:
        share += (
            f"; 95 %: {100 * summary.feasible_share_low:.1f} to {100 * summary.feasible_share_high:.1f} %"
        )
    # without limits, or with limits that even the extremes keep, the share is certain and not drawn
    certain = not summary.sampled or summary.feasible_share_low == summary.feasible_share_high
    number = f"{'' if certain and summary.exact else 'about '}{summary.feasible:,} ({share})"
    # a share of combinations, in which one architecture may stand many times, gives no number of architectures
    print(f"feasible    {f'{share} of the combinations' if summary.combinations else number}{within}")
    for name, unit, scale in (("macs", "GFLOPs", 1e9), ("params", "M params", 1e6)):
        low, mid, high = (getattr(summary, f"{name}_{at}") / scale for at in ("min", "median", "max"))
        print(f"{unit:<11} min {low:.3f}, median {mid:.3f}, max {high:.3f}")
    if summary.ruled_out:
        gone = "; ".join(f"{path}: {_listed(levels)}" for path, levels in summary.ruled_out.items())
        print(f"ruled out   {gone}")
    print_prose(f"cheapest    {summary.cheapest}\n\nCosts at the reference, SKNet-50 at 224x224. {GFLOPS}")
    if summary.sampled:
        drawn = "combinations" if summary.combinations else "distinct architectures"
        what = "Medians" if certain else "Feasible share and medians"
        print(f"{what} are of {summary.sampled:,} {drawn} drawn uniformly.")
