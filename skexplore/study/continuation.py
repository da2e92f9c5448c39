"""Whether a request goes on with the study that has its name, or must not."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from pathlib import Path

from skexplore.data import Content
from skexplore.errors import UserError
from skexplore.study.database import hide_password, url_of
from skexplore.study.folder import DATABASE, RECORDS, is_begun
from skexplore.study.reading import NotBegunError, load_live
from skexplore.study.spec import StudySpec
from skexplore.study.store import load_archive


def check_continues(folder: Path, spec: StudySpec, storage: str | None = None) -> StudySpec | None:
    """Return what the study in ``folder`` was asked for before, None if it is new.

    Reference, space, recipe, split, backbone, mode, sampler, rungs, seed, how latency is measured and ``storage`` must
    be those of before, else ``UserError``; the budget may be another.
    """
    if is_begun(folder) and storage is not None and storage != url_of(folder):
        raise UserError(
            f"study {spec.name} is kept in {hide_password(url_of(folder))}; leave --storage out, or choose another "
            "--study name"
        )
    if not is_begun(folder):
        if (folder / RECORDS).exists():
            raise UserError(f"{folder} is an archive, which is only read; {_beside_archive(folder, spec)}")
        return None
    try:
        old = load_live(folder).spec
    except NotBegunError:
        return None
    if old.name != spec.name:
        raise UserError(
            f"{folder / DATABASE}: holds the study {old.name}; give the folder that name again, or choose "
            "another --study name"
        )
    if (old.ablation is None) != (spec.ablation is None):
        holds = "no ablation" if old.ablation is None else "an ablation"
        raise UserError(f"study {spec.name} exists and is {holds}; choose another --study name")
    if old.ablation and spec.ablation and old.ablation.of != spec.ablation.of:
        confirmed = old.ablation.of or "no search"
        raise UserError(f"study {spec.name} exists and confirms {confirmed}; choose another --study name")
    for name in (
        "reference",
        "space_hash",
        "backbone",
        "recipe",
        "split",
        "mode",
        "sampler",
        "rungs",
        "seed",
    ):
        was = getattr(old, name)
        if was != getattr(spec, name):
            if name == "space_hash":
                raise UserError(
                    f"study {spec.name} exists with another space ({_changes(old, spec)}); begin another study, "
                    f"which takes over what this one has: --study {spec.name}-more --reuse {spec.name}"
                )
            raise UserError(
                f"study {spec.name} exists with another {name} ({_was(was, getattr(spec, name))}); its results would "
                "not be comparable: choose another --study name"
            )
    _check_latency(old, spec)
    return old


def _was(was: object, now: object) -> str:
    """Return what was asked for before; of a recipe or a split what differs, and what it is here."""
    if isinstance(was, Content) and isinstance(now, Content) and was.digest != now.digest:
        return f"images of digest {was.digest[:12]}, here {now.digest[:12]}"
    if isinstance(was, Content) and isinstance(now, Content) and was.name != now.name:
        return f"the same images as {was.name}, here {now.name}: give their folder that name again"
    if not is_dataclass(was) or not is_dataclass(now):
        return f"{was}"
    found = []
    for each in fields(was):
        old, new = getattr(was, each.name), getattr(now, each.name)
        if old != new and is_dataclass(old) and is_dataclass(new):
            found.append(_was(old, new))
        elif old != new:
            found.append(f"{each.name} {old}, here {new}")
    return "; ".join(found)


def _check_latency(old: StudySpec, new: StudySpec) -> None:
    """Raise ``UserError`` if latencies of the two could not stand side by side; a machine not named yet may be any."""
    was, now = old.latency, new.latency
    if was and now and not now.machine:
        now = replace(now, machine=was.machine)
    if (was and was.same) != (now and now.same):
        there, here = (f"measures latency ({each.words})" if each else "measures none" for each in (was, now))
        raise UserError(
            f"study {new.name} {there}, and this search {here}; latencies must stay comparable: choose another --study "
            f"name, with --reuse {new.name} to take over its trainings"
        )


def _changes(old: StudySpec, new: StudySpec) -> str:
    """Return what a study's space has that the new one has not, and the other way round, in words."""
    said = []
    for path in {**old.space_decisions, **new.space_decisions}:
        was, now = (dict.fromkeys(each.space_decisions.get(path, ())) for each in (old, new))
        gone, come = [str(x) for x in was if x not in now], [str(x) for x in now if x not in was]
        if gone or come:
            parts = [
                f"{word} {', '.join(levels)}"
                for word, levels in (("without", gone), ("with", come))
                if levels
            ]
            said.append(f"{path} now {' and '.join(parts)}")
    for what in ("space_base", "space_conditions", "band_gflops", "band_params_m", "band_activations_m"):
        if getattr(old, what) != getattr(new, what):
            said.append(f"another {what.removeprefix('space_').replace('_', ' ')}")
    return "; ".join(said) or f"{old.space}, whose levels stand in another order"


def _beside_archive(folder: Path, spec: StudySpec) -> str:
    """Say how to go on where an archive has the name; its trainings serve another study of its kind and scale."""
    kept = load_archive(folder).spec
    same = all(
        getattr(kept, name) == getattr(spec, name) for name in ("recipe", "split", "backbone", "reference")
    )
    ablations = spec.ablation is not None and not spec.ablation.of
    searches = spec.searches and kept.searches and spec.seed == kept.seed
    if (ablations or searches) and same:
        reuse = f"--study {spec.name}-more --reuse {spec.name}"
        return f"choose another --study name, and take over what it has: {reuse}"
    return "choose another --study name"
