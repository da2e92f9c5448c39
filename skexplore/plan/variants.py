"""From a checked study file to its variants: rows, factors one at a time, components taken away."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from skexplore.arch import (
    REFERENCE,
    Backbone,
    Setting,
    canonical_at_reference,
    format_blocks,
    get_backbone,
    parse_blocks,
    written_for,
)
from skexplore.errors import UserError
from skexplore.paper import SYSTEMS, get_system, named_blocks, printed_rows
from skexplore.plan.ablation_file import Change, Definition, Row
from skexplore.space import NONE, Space, is_path
from skexplore.study import Contrast, Design, Group, Printed, Variant


def base_of(text: str, reference: Backbone = REFERENCE) -> Variant:
    """Return the network that a block's notation, for ``reference``, or a system's name means; raises ``UserError``."""
    if text in SYSTEMS:
        system = get_system(text)
        setting = Setting.of(system.architecture(), "")
        return Variant(name=text, block=system.block, setting=setting, reference=system.backbone)
    blocks = canonical_at_reference(named_blocks(text), reference)
    return Variant(name=text, block=format_blocks(blocks), reference=reference.name)


def expand(definition: Definition, base: Variant | None, reference: Backbone = REFERENCE) -> Design:
    """Return the design of ``definition`` for ``reference``; ``base`` is its baseline unless that is one of its rows.

    Raises ``UserError`` for factors without a baseline, or a component whose removal changes nothing.
    """
    variants = [_of_row(row, reference) for row in definition.rows]
    kinds = ["rows"] if variants else []
    factors, components = definition.one_at_a_time, definition.leave_one_out
    baseline = definition.baseline
    if base is None:
        base = next(variant for variant in variants if variant.name == baseline)
    else:
        variants.append(replace(base, name=baseline))
    if factors:
        kinds.append("one_at_a_time")
        variants += _one_at_a_time(definition, base, reference)
    if components:
        kinds.append("leave_one_out")
        variants += _leave_one_out(definition, base, reference)
    if len(variants) < 2:
        raise UserError(
            f"ablation {definition.name}: nothing differs from {definition.baseline}; give levels that change it"
        )
    names = [variant.name for variant in variants]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"ablation {definition.name}: two variants are called {name!r}; rename one")
    contrasts = tuple(
        Contrast(name=name, of=tuple(each.of), against=tuple(each.against))
        for name, each in definition.contrasts.items()
    )
    groups = tuple(Group(name=name, variants=tuple(each)) for name, each in definition.groups.items())
    _check_named(definition.name, contrasts, groups, names)
    return Design(
        description=definition.description,
        kinds=tuple(kinds),
        baseline=baseline,
        variants=tuple(_printed_once(variants, definition.table, definition.column)),
        seeds=definition.seeds,
        table=definition.table,
        column=definition.column,
        contrasts=contrasts,
        groups=groups,
    )


def _check_named(
    name: str, contrasts: Sequence[Contrast], groups: Sequence[Group], variants: Sequence[str]
) -> None:
    """Raise ``UserError`` that lists every name in a contrast or a group that no variant has, or has twice."""
    places = [(f"contrasts.{each.name}", (*each.of, *each.against)) for each in contrasts]
    places += [(f"groups.{each.name}", each.variants) for each in groups]
    problems = [
        f"ablation {name}: {place}: {text}"
        for place, names in places
        for text in (
            *(
                f"no variant {each!r}; variants: {', '.join(variants)}"
                for each in names
                if each not in variants
            ),
            *(f"{each!r} is named twice" for each in dict.fromkeys(names) if names.count(each) > 1),
        )
    ]
    if problems:
        raise UserError("\n".join(problems))


def _printed_once(variants: Sequence[Variant], table: str, column: str) -> Iterator[Variant]:
    """Yield the variants, each row of the paper beside the first that it is: a row is no evidence twice."""
    taken: set[int] = set()
    for variant in variants:
        found = printed_beside(variant, table, column)
        if found.printed is not None and found.printed.row in taken:
            found = variant
        taken |= {found.printed.row} if found.printed else set()
        yield found


def _of_row(row: Row, reference: Backbone) -> Variant:
    base = base_of(row.system or row.block, reference)
    try:
        _ = base.architecture.placed
    except UserError as error:
        raise UserError(f"variant {row.name}: {error}") from None
    setting = replace(base.setting, backbone=row.backbone, fuse_norm=row.fuse_norm)
    if row.gate:
        setting = replace(setting, gate="" if row.gate == NONE else row.gate)
    return replace(base, name=row.name, setting=setting)


def _one_at_a_time(definition: Definition, base: Variant, reference: Backbone) -> Iterator[Variant]:
    """Yield a variant for each level that is not the baseline's own."""
    own = _identity(_changed(base, {}, "", "", reference))
    for factor, levels in definition.one_at_a_time.items():
        for level in levels:
            variant = _changed(base, {factor: level}, factor, _level(level), reference)
            if _identity(variant) != own:
                yield replace(variant, name=f"{factor} {_level(level)}")


def _leave_one_out(definition: Definition, base: Variant, reference: Backbone) -> Iterator[Variant]:
    own = _identity(_changed(base, {}, "", "", reference))
    changes: dict[str, Change] = dict(definition.leave_one_out)
    for name, parts in definition.together.items():
        merged: dict[str, object] = {}
        for part in parts:
            for factor, level in definition.leave_one_out[part].items():
                if merged.setdefault(factor, level) != level:
                    raise UserError(
                        f"ablation {definition.name}: together.{name}: {part} sets {factor} to {_level(level)}, "
                        f"another of its components to {_level(merged[factor])}; they cannot be taken away together"
                    )
        changes[name] = merged  # type: ignore[assignment]
    for name, change in changes.items():
        variant = replace(_changed(base, change, name, "away", reference), name=f"without {name}")
        if _identity(variant) == own:
            raise UserError(
                f"ablation {definition.name}: leave_one_out.{name}: {base.block} is the same network without it"
            )
        yield variant


def _changed(base: Variant, change: Change, factor: str, level: str, reference: Backbone) -> Variant:
    decided = {path: value for path, value in change.items() if is_path(path)}
    around = {path: value for path, value in change.items() if path not in decided}
    if around.get("gate") == NONE:
        around["gate"] = ""
    block = base.block
    if decided:
        blocks = parse_blocks(base.block)
        if len(blocks) > 1:
            raise UserError(
                f"baseline {base.block}: factors change one block for all stages; give such a block"
            )
        space = Space(
            name="none",
            description="",
            base=blocks[0],
            decisions={p: (v,) for p, v in decided.items()},
            reference=reference
            if base.reference == reference.name
            else written_for(get_backbone(base.reference)),
        )
        block = format_blocks(space.decode(decided))
    setting = replace(base.setting, **around)  # type: ignore[arg-type]
    return replace(base, name=factor, block=block, setting=setting, factor=factor, level=level)


def _level(level: object) -> str:
    return {True: "on", False: "off"}[level] if isinstance(level, bool) else str(level)


def _identity(variant: Variant) -> tuple[str, str]:
    return variant.architecture.id, variant.setting.backbone


def printed_beside(variant: Variant, table: str, column: str) -> Variant:
    """Return ``variant`` with the row of the paper's ``table`` that it is, if it is one."""
    own = _identity(variant)[0]
    for row in printed_rows():
        if row.table != table or not row.definition:
            continue
        if get_system(row.definition).architecture().id == own:
            printed = Printed(
                table=table,
                row=row.row,
                system=row.system,
                error_pct=_number(getattr(row, column)),
                params_m=_number(row.params_m),
                gflops=_number(row.gflops),
            )
            return replace(variant, printed=printed)
    return variant


def _number(text: str) -> float | None:
    return float(text) if text else None
