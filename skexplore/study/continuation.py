"""Whether a request goes on with the study that has its name, or must not."""

from __future__ import annotations

from pathlib import Path

from skexplore.errors import UserError
from skexplore.study.database import hide_password, url_of
from skexplore.study.folder import DATABASE, RECORDS, is_begun
from skexplore.study.reading import NotBegunError, load_live
from skexplore.study.spec import StudySpec
from skexplore.study.store import load_archive


def check_continues(folder: Path, spec: StudySpec, storage: str | None = None) -> StudySpec | None:
    """Return what the study in ``folder`` was asked for before, None if it is new.

    Space, recipe, split, backbone, mode, sampler, rungs, seed and ``storage`` must be those of before, else
    ``UserError``; the budget may be another.
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
    for name in ("space_hash", "backbone", "recipe", "split", "mode", "sampler", "rungs", "seed"):
        was = getattr(old, name)
        if was != getattr(spec, name):
            if name == "space_hash":
                name, was = "space", old.space  # noqa: PLW2901
            raise UserError(
                f"study {spec.name} exists with another {name} ({was}); its results would not be comparable: "
                "choose another --study name"
            )
    return old


def _beside_archive(folder: Path, spec: StudySpec) -> str:
    """Say how to go on where an archive has the name; its trainings serve an ablation of the same scale."""
    kept = load_archive(folder).spec
    same = all(getattr(kept, name) == getattr(spec, name) for name in ("recipe", "split", "backbone"))
    if spec.ablation and not spec.ablation.of and same:
        reuse = f"--study {spec.name}-more --reuse {spec.name}"
        return f"choose another --study name, and take over what it has: {reuse}"
    return "choose another --study name"
