"""``search``: from a request to a finished study."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import skexplore
from skexplore import cifar
from skexplore.backbone import get_backbone
from skexplore.coordinator import Coordinator, Progress
from skexplore.errors import StudyError, UserError
from skexplore.ledger import Ledger
from skexplore.published import anchor_blocks
from skexplore.recipe import get_profile
from skexplore.record import Study, StudySpec
from skexplore.runner import WorkerError, default_devices
from skexplore.sampling import SAMPLERS
from skexplore.space import Space
from skexplore.store import DATABASE_ERRORS, Store, check_continues, check_name, load_study
from skexplore.survey import check_budget


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something to know before the search begins."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """Bytes of the data set fetched so far; ``what`` names the source."""

    what: str
    done: int
    total: int


def search(
    *,
    budget_gflops: float,
    budget_params_m: float | None = None,
    space: str | Space = "sk-paper",
    trials: int | None = None,
    study: str | None = None,
    profile: str = "quick",
    sampler: str = "tpe",
    anchors: str = "two",
    workers: int | None = None,
    seed: int = 0,
    data_dir: Path | None = None,
    data_folder: Path | None = None,
    command: str = "",
    on_progress: Callable[[Progress | Fetch | Note], None] = lambda _: None,
    interrupts: Callable[[], int] = lambda: 0,
) -> Study:
    """Search ``space`` under a budget at the reference and return the study; the same call continues it.

    budget_gflops: 10^9 multiply-adds of SKNet-50 at 224x224; budget_params_m: 10^6 parameters of it.
    trials: trained distinct architectures over the life of the study. data_folder: arrays prepared
    elsewhere, instead of fetching CIFAR-10. interrupts: how often the user asked to stop (once: after the
    epochs in hand, twice: now). Raises ``UserError`` before anything is written if the request cannot be
    met, ``StudyError`` if the search had to end early, ``KeyboardInterrupt`` if it was asked to.
    """
    chosen = space if isinstance(space, Space) else Space.load(space)
    spec, target = plan(
        budget_gflops, budget_params_m, chosen, trials, study, profile, sampler, anchors, seed
    )
    devices = default_devices(workers)
    folder = Path("studies") / spec.name
    before = check_continues(folder, spec)
    on_progress(Note(text=_announcement(spec, target, len(devices), before)))

    def fetching(what: str, done: int, total: int) -> None:
        if interrupts():
            raise KeyboardInterrupt
        on_progress(Fetch(what=what, done=done, total=total))

    data = data_folder or cifar.prepare(spec.split.dataset, data_dir=data_dir, progress=fetching)
    try:
        with Store(folder, spec) as store:
            store.annotate(target=target, command=command, environment=environment(devices))
            coordinator = Coordinator(Ledger(store, chosen), target, data, on_progress, interrupts)
            store.note_end(exhausted=not coordinator.run(devices))
    except (WorkerError, OSError, *DATABASE_ERRORS) as error:
        raise StudyError(
            f"{error}\nThe search cannot go on here. Finished trials are kept; mend this and repeat the command"
        ) from error
    return load_study(str(folder.absolute()))


def _announcement(spec: StudySpec, target: int, workers: int, before: StudySpec | None) -> str:
    """Say in advance what will be trained, and by what."""
    anchors = len(anchor_blocks(spec.anchors)) * spec.anchor_seeds
    text = (
        f"study {spec.name}: {anchors} anchor trainings, then search trials until {target} are trained; "
        f"{workers} {'worker' if workers == 1 else 'workers'}\n"
        f"profile {spec.profile}: {get_profile(spec.profile).why}"
    )
    budgets = ("budget_gflops", "budget_params_m")
    if before and any(getattr(before, name) != getattr(spec, name) for name in budgets):
        text += "\nits budget was another: what is within the budget is derived anew for every trial"
    return text


def plan(
    budget_gflops: float,
    budget_params_m: float | None,
    space: Space,
    trials: int | None,
    study: str | None,
    profile: str,
    sampler: str,
    anchors: str,
    seed: int,
) -> tuple[StudySpec, int]:
    """Check a request and return its specification and target; raises ``UserError``."""
    settings = get_profile(profile)
    if sampler not in SAMPLERS:
        raise UserError(f"unknown sampler {sampler!r}; known: {', '.join(SAMPLERS)}")
    if anchors not in ("two", "none"):
        raise UserError(f"--anchors {anchors!r}: must be two or none")
    target = settings.trials if trials is None else trials
    if target < 1:
        raise UserError(f"--trials {target}: must be at least 1")
    if not 0 <= seed < 2**31:
        raise UserError(f"--seed {seed}: must be between 0 and {2**31 - 1}")
    space.check_buildable(get_backbone(settings.backbone))
    check_budget(space, budget_gflops, budget_params_m)
    short = re.sub(r"[^A-Za-z0-9._-]", "-", space.name)
    size = f"{budget_gflops:g}g".replace("+", "")
    if budget_params_m is not None:
        size += f"-{budget_params_m:g}m".replace("+", "")
    name = f"{settings.split.dataset}-{short}-{size}-{profile}-s{seed}"
    name += "" if sampler == "tpe" else f"-{sampler}"
    spec = StudySpec(
        name=name if study is None else check_name(study),
        space=space.name,
        space_hash=space.hash,
        space_base=str(space.base),
        space_decisions={path: list(levels) for path, levels in space.decisions.items()},
        space_conditions=space.conditions,
        band_gflops=space.band_gflops,
        band_params_m=space.band_params_m,
        budget_gflops=budget_gflops,
        budget_params_m=budget_params_m,
        profile=profile,
        backbone=settings.backbone,
        recipe=settings.recipe,
        split=settings.split,
        sampler=sampler,
        anchors=anchors,
        anchor_seeds=settings.anchor_seeds,
        seed=seed,
    )
    return spec, target


def environment(devices: list[str]) -> dict[str, str]:
    """Return versions and machine, as text."""
    packages = ("torch", "torchvision", "optuna", "numpy")
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {
        "skexplore": skexplore.__version__,
        "python": platform.python_version(),
        **versions,
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count()),
        "workers": ", ".join(f"{count} x {device}" for device, count in Counter(devices).items()),
    }
