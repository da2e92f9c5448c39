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
    SEARCH,
    BudgetActivations,
    BudgetGflops,
    BudgetMflops,
    BudgetParams,
    JsonOption,
    ReferenceOption,
    budget_of,
    groups_note,
    print_next,
    print_prose,
    printable,
    said_unit,
    taps_note,
)
from skexplore.cli.completion import spaces

if TYPE_CHECKING:
    from skexplore.arch import Backbone, Bound, FlopsUnit
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
{reference}base: k3                              # block notation: what no decision changes stays as it is here
decisions:                            # each is a path and the levels that a search may choose
  branches.1: [k3, k5]                # kK or kKdD (kernel, dilation)
{groups}  branches.2: [none, k1, k3d2, k3d3]  # none takes the branch away
  reduction: [8, 16, 32]              # r of d = max(C / r, L), Eq. 4 of the paper
  min_dim: [16, 32]                   # the floor L; 1 means none
  fuse: [select, sum]                 # softmax attention, or the plain sum
{stage}{body}# conditions:                         # in order: where all of when holds, then counts as chosen
#   - when: {{branches.1: k5, reduction: [8, 16]}}
#     then: {{fuse: sum}}
# constraints:                        # bands at the reference; blocks outside are never trained
#   gflops: {gflops:<25} # 10^9 multiply-adds, [least, most]; null for no limit
#   params_m: {params_m:<23} # 10^6 parameters
#   activations_m: {activations_m:<18} # 10^6 outputs of convolutions and linear layers
"""
STAGE = """\
  # stages.{last}.branches.2: [none, k3d2] # one stage may decide for itself
"""
BODY = """\
  # depths: [{depths}] # units of each stage: then the network around the blocks is chosen too
  # width: [x1, x0.5]                 # times its channels; backbone: [...] chooses among networks with a name
"""
GROUPS = """\
  branches.1.groups: [32, 64]         # groups at cardinality 32
"""


@app.command("new")
def space_new(
    path: Annotated[Path, typer.Argument(metavar="FILE.yaml", help="The file to write.")],
    reference: ReferenceOption = None,
) -> None:
    """Write a commented space to begin from."""
    from skexplore.arch import get_reference
    from skexplore.errors import UserError
    from skexplore.files import write_atomic
    from skexplore.space import NAME

    if path.suffix not in (".yaml", ".yml") or not NAME.fullmatch(path.stem):
        raise UserError(f"{path}: must be a .yaml file named in letters, digits, '.', '_' and '-'")
    if path.exists():
        raise UserError(f"{path}: exists already; choose another name")
    try:
        whole = get_reference(reference)
        write_atomic(path, TEMPLATE.format(path=path, name=path.stem, **_suiting(whole)))
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from None
    print(path)
    print_next(f"skexplore space show {shlex.quote(str(path))}")


def _suiting(reference: Backbone) -> dict[str, object]:
    """Return what of a first space depends on its reference: groups, the last stage, bands around its usual blocks."""
    from skexplore.arch import REFERENCE, cost, counts_groups

    least, most = cost("k3", reference), cost("k3+k5", reference)
    half = {
        name: (getattr(least, name) + getattr(most, name)) / 2 for name in ("macs", "params", "activations")
    }
    line = f"reference: {reference.name}"
    usual, last = reference == REFERENCE, len(reference.stages)
    units = [stage.depth for stage in reference.stages]
    fewer = [max(1, depth // 2) for depth in units]
    return {
        "reference": ""
        if usual
        else f"{line:<37} # blocks are written for it, and costs are counted in it\n",
        "groups": GROUPS if counts_groups(reference) else "",
        "stage": STAGE.format(last=last) if 3 <= last <= 5 else "",  # of more stages no proxy has as many
        "body": BODY.format(depths=", ".join("-".join(map(str, each)) for each in (units, fewer))),
        "gflops": "[4.0, 4.6]" if usual else f"[null, {half['macs'] / 1e9:.3g}]",
        "params_m": "[null, 29]" if usual else f"[null, {half['params'] / 1e6:.3g}]",
        "activations_m": f"[null, {half['activations'] / 1e6:.3g}]",
    }


@app.command("show")
def space_show(
    space: Annotated[
        str, typer.Argument(metavar="SPACE", autocompletion=spaces, help="Name of a space, or a .yaml file.")
    ],
    budget_gflops: BudgetGflops = None,
    budget_mflops: BudgetMflops = None,
    budget_params: BudgetParams = None,
    budget_activations: BudgetActivations = None,
    reference: ReferenceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print what a search space holds: decisions, size, reference costs, and what a budget leaves of it."""
    from skexplore.arch import flops_unit, reference_words
    from skexplore.space import Space, check_budget, idle_budgets, summarise

    chosen, budget_gflops = Space.load(space, reference), budget_of(budget_gflops, budget_mflops)
    proxies, used_by = _proxies(chosen)
    for name in sorted(proxies):
        chosen.check_trained_in(name)
    notes = [taps_note(chosen, proxy, used_by[name]) for name, proxy in proxies.items()]
    notes += [groups_note(chosen, chosen.reference)]
    if not proxies:
        notes.append(
            f"note: no profile has a proxy of {len(chosen.stages)} stages: give search a --backbone that has"
        )
    budget = (budget_gflops, budget_params, budget_activations)
    bounds = check_budget(chosen, *budget)
    summary = summarise(chosen, bounds)
    if as_json:
        for note in filter(None, notes):
            print(note, file=sys.stderr)
        print(json.dumps(asdict(summary)))
        return
    unit = flops_unit(summary.macs_median)
    _print_space(chosen)
    bodies = f", or in the body of each of {len(chosen.plain())}" if chosen.decides_body else ""
    _print_summary(summary, bounds, unit, f"{reference_words(chosen.reference)}{bodies}")
    for note in filter(None, [*idle_budgets(chosen, *budget), *notes]):
        print_prose(note)
    option, ones = f"--budget-{unit.name.lower()}", unit.scale / 1e9
    budgets = {
        option: budget_gflops and budget_gflops / ones,
        "--budget-params": budget_params,
        "--budget-activations": budget_activations,
    }
    given = [word for name, value in budgets.items() if value for word in (name, f"{value:.10g}")]
    step = unit.scale / (10 if unit.name == "GFLOPs" else 1)
    half = math.ceil(summary.macs_median / step) * step / unit.scale  # a budget that half of the space keeps
    usual = [option, f"{half:g}"]
    where = ["--reference", reference] if reference else []
    print_next(shlex.join(["skexplore", "search", "--space", space, *where, *(given or usual), "--plan"]))


def _proxies(space: Space) -> tuple[dict[str, Backbone], dict[str, list[str]]]:
    """Return the networks in which profiles would train blocks of the space, and the profiles of each."""
    from skexplore.arch import get_backbone, is_proxy, stand_in
    from skexplore.errors import UserError
    from skexplore.study import PROFILES

    proxies: dict[str, Backbone] = {}
    used_by: dict[str, list[str]] = {}
    for profile in PROFILES.values():
        try:
            name = space.in_which_depths_show(profile.at(space.reference).backbone)
        except UserError:  # the paper's network for small images stands for SKNet-50 alone
            continue
        if space.decides_body and not is_proxy(name):  # it has one depth and width
            continue
        proxy = stand_in(get_backbone(name), space.reference)
        if space.stagewise and len(proxy.stages) != len(space.stages):
            continue
        proxies[name] = proxy
        used_by.setdefault(name, []).append(profile.name)
    return proxies, used_by


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


def _print_summary(summary: SpaceSummary, bounds: tuple[Bound, ...], unit: FlopsUnit, reference: str) -> None:
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
    number = f"{summary.feasible_words} ({share})"
    # a share of combinations, in which one architecture may stand many times, gives no number of architectures
    print(f"feasible    {f'{share} of the combinations' if summary.combinations else number}{within}")
    costs = (
        ("macs", unit.name, unit.scale, ""),
        ("params", "M params", 1e6, ""),
        ("activations", "activations", 1e6, " M"),
    )
    for name, label, scale, ones in costs:
        low, mid, high = (
            f"{getattr(summary, f'{name}_{at}') / scale:.3f}{ones}" for at in ("min", "median", "max")
        )
        print(f"{label:<11} min {low}, median {mid}, max {high}")
    if summary.ruled_out:
        gone = "; ".join(f"{path}: {_listed(levels)}" for path, levels in summary.ruled_out.items())
        print(f"ruled out   {gone}")
    print_prose(f"cheapest    {summary.cheapest}\n\nCosts at the reference, {reference}. {said_unit(unit)}")
    if summary.sampled:
        drawn = "combinations" if summary.combinations else "distinct architectures"
        what = "Medians" if summary.certain else "Feasible share and medians"
        print(f"{what} are of {summary.sampled:,} {drawn} drawn uniformly.")
