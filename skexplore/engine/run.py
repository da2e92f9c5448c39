"""``search``, ``train``, ``ablate`` and ``confirm``: from a request to a finished study."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from skexplore import __version__
from skexplore.arch import get_reference
from skexplore.data import content_of, is_own, prepare_data, prepare_own
from skexplore.engine.coordinator import Coordinator, Work
from skexplore.engine.events import Fetch, Note
from skexplore.engine.options import Run, by_keyword
from skexplore.engine.state import State
from skexplore.errors import StudyError, UserError
from skexplore.nn import cpu_model
from skexplore.plan import (
    AblationRequest,
    ConfirmRequest,
    Plan,
    Request,
    TrainRequest,
    own_trainings,
    plan_ablation,
    plan_confirmation,
    plan_search,
    plan_training,
)
from skexplore.space import idle_budgets
from skexplore.study import (
    DATABASE_ERRORS,
    STUDIES,
    TRIED,
    Split,
    Store,
    Study,
    StudySpec,
    check_continues,
    check_storage,
    devices_of,
    explain,
    get_profile,
    known_studies,
    latency_said,
    load_study,
    study_folder,
)
from skexplore.training import WorkerError, default_devices, device_name
from skexplore.words import counted


@by_keyword(Request)
def search(request: Request, run: Run) -> Study:
    """Search a space under a budget at the reference and return the study; the same call continues it.

    Keywords: what is searched, by the fields of ``Request``, and how it is run, by those of ``Run``. Raises
    ``UserError`` before anything is written if the request cannot be met, ``StudyError`` if the search had to end
    early, ``KeyboardInterrupt`` if it was asked to.
    """
    return run_plan(plan_search(replace(request, profile=request.profile or default_profile())), run)


@by_keyword(TrainRequest)
def train(request: TrainRequest, run: Run) -> Study:
    """Train the user's own ``blocks`` with ``seeds`` seeds from ``seed`` on, and return the study they are kept in.

    With the name of an existing study its recipe is used and the records stand beside its anchors; else a study of
    own trainings is begun or continued. Keywords: the fields of ``TrainRequest`` and of ``Run``. Raises as ``search``
    does.
    """
    study = request.study
    if study is None or not is_study(study):
        if study is not None and request.profile is None:
            known = ", ".join(path.name for path in known_studies()) or "none yet"
            raise UserError(
                f"--study {study}: no study of that name (here: {known}); to begin one of your own trainings give its "
                "--profile too"
            )
        return run_plan(plan_training(replace(request, profile=request.profile or default_profile())), run)
    old = load_study(study)
    spec = old.spec
    if spec.ablation is not None:
        raise UserError(
            f"--study {study}: its design says what is trained there; put the block into a study file's rows and give "
            "that to skexplore ablate, or leave --study out"
        )
    if study_folder(study).resolve() != study_folder(spec.name).resolve():
        raise UserError(
            f"--study {study}: {spec.name} is kept in studies/{spec.name} of the folder where its search was begun; go "
            "there, and give its name"
        )
    for option, own in (
        ("profile", spec.profile),
        ("dataset", spec.split.dataset),
        ("backbone", spec.backbone),
        ("reference", spec.reference),
        ("recipe", _recipe_name(spec)),
    ):
        given = getattr(request, option)
        given = get_reference(given).name if option == "reference" and given is not None else given
        if option == "dataset" and isinstance(given, str) and is_own(given):
            given = own if content_of(given) == spec.split.own else given
        if given is not None and given != own:
            raise UserError(
                f"--{option} {given}: study {spec.name} has {own}, and its results must stay comparable"
            )
    return run_plan(own_trainings(spec, request, old.target), run, search=False)


def _recipe_name(spec: StudySpec) -> str:
    """Return by what name ``--recipe`` gives the recipe of ``spec``."""
    profile = get_profile(spec.profile)
    return "sgd" if (profile.sgd or profile.recipe) == replace(spec.recipe, cycles=()) else "another"


@by_keyword(AblationRequest)
def ablate(request: AblationRequest, run: Run) -> Study:
    """Train every variant of the ablation ``source`` (a name or a .yaml file) with the same seeds; return the study.

    The same call continues it. Keywords: the fields of ``AblationRequest`` and of ``Run``. Raises as ``search`` does.
    """
    return run_plan(plan_ablation(request), run)


@by_keyword(ConfirmRequest)
def confirm(request: ConfirmRequest, run: Run) -> Study:
    """Train the finalists of the search ``study`` longer with fresh seeds, and return the confirmation.

    They stand beside anchors and random blocks; each training reads the test set once. Keywords: the fields of
    ``ConfirmRequest`` and of ``Run``. Raises as ``search`` does.
    """
    return run_plan(plan_confirmation(request), run)


def default_profile() -> str:
    """Return the profile for this machine: ``standard`` where there is a GPU, else ``quick``."""
    return "standard" if default_devices(None)[0].startswith("cuda") else "quick"


def count_devices(devices: list[str]) -> str:
    """Return devices in words, such as ``2 x cpu``."""
    return ", ".join(f"{count} x {device}" for device, count in Counter(devices).items())


def is_study(name: str) -> bool:
    """Return whether there is a study of that name already."""
    try:
        load_study(name)
    except UserError:
        return False
    return True


def _images(
    split: Split, data_dir: Path | None, progress: Callable[[str, int, int], None], *, test: bool
) -> Path:
    """Return the folder of the cached arrays that ``split`` is taken from."""
    if split.own is not None:
        return prepare_own(split.own, data_dir=data_dir, progress=progress)
    return prepare_data(split.dataset, data_dir=data_dir, progress=progress, whole=test)


def run_plan(plan: Plan, run: Run, *, search: bool = True) -> Study:
    """Do what ``plan`` says and return the study; without ``search`` only the trainings beside it."""
    spec, devices = plan.spec, default_devices(run.workers)
    latencies = None
    if spec.latency and search:
        from skexplore.engine.latencies import Latencies  # noqa: PLC0415  # loads torch

        latencies = Latencies(spec, spec.latency)
        spec = replace(spec, latency=latencies.terms)
    folder = STUDIES / spec.name  # a name is no path: a folder of that name here is somebody else's
    storage = check_storage(run.storage)
    before = check_continues(folder, spec, storage)
    if latencies is not None:
        spec = replace(spec, latency=latencies.begin(before))
    run.on_progress(Note(text=_announcement(plan, spec, len(devices), before, search=search)))

    def fetching(what: str, done: int, total: int) -> None:
        if run.interrupts():
            raise KeyboardInterrupt
        run.on_progress(Fetch(what=what, done=done, total=total))

    test = spec.ablation is not None and spec.ablation.test
    data = run.data_folder or _images(spec.split, run.data_dir, fetching, test=test)
    try:
        with Store(folder, spec, storage) as store:
            state = State(store, plan.space, latencies.measure if latencies else None)
            if strange := {*devices_of(plan.known.values())} - {*map(device_name, devices)}:
                run.on_progress(
                    Note(
                        text=f"what is taken over was trained on another device ({'; '.join(sorted(strange))}): the "
                        "same training gives other digits here, as far apart as seeds"
                    )
                )
            wished = [levels for levels in plan.wished if not state.knows(plan.space.network(levels))]
            work = Work(
                target=plan.target if search else state.trained,
                replicates=plan.replicates,
                data_folder=data,
                beside=plan.beside,
                wished=tuple(wished),
                time_limit=run.time_limit,
                search=search,
                test=test,
                known=plan.known,
            )
            if search:
                store.annotate(
                    target=plan.target,
                    replicates=plan.replicates,
                    command=run.command,
                    environment=environment(devices),
                )
            else:
                store.note_environment(environment(devices))
            reached = Coordinator(state, work, run.on_progress, run.interrupts).run(devices)
            if search:
                store.note_end(exhausted=not reached)
    except (WorkerError, OSError, *DATABASE_ERRORS) as error:
        raise StudyError(explain(error, folder)) from error
    return load_study(str(folder.absolute()))


def run_plans(plans: Sequence[Plan], run: Run) -> list[Study]:
    """Do one plan after another and return their studies, without those that the time limit, of them all, left out."""
    for plan in plans[1:]:  # what will be refused is refused before hours are spent on the first
        check_continues(study_folder(plan.spec.name), plan.spec, check_storage(run.storage))
    started, studies = time.monotonic(), list[Study]()
    for number, plan in enumerate(plans, start=1):
        left = None if run.time_limit is None else run.time_limit - (time.monotonic() - started)
        if run.interrupts():  # in the last epochs of the study before, which is whole
            raise KeyboardInterrupt
        if left is not None and left <= 0:
            break
        if len(plans) > 1:
            run.on_progress(Note(text=f"\n{number} of {len(plans)}: seed {plan.spec.seed}"))
        studies.append(run_plan(plan, replace(run, time_limit=left)))
    return studies


def _announcement(
    plan: Plan, spec: StudySpec, workers: int, before: StudySpec | None, *, search: bool
) -> str:
    """Say in advance what will be trained, and by what."""
    by = counted(workers, "worker")
    if search and spec.ablation:
        known = {(record.net_id, record.seed) for record in plan.known.values()}
        shared = sum(network in known for network in plan.networks)
        elsewhere = f", {shared} measured elsewhere" if shared else ""
        text = (
            f"study {spec.name}: {len(spec.ablation.variants)} variants x {counted(spec.ablation.seeds, 'seed')}, "
            f"{len(plan.beside)} trainings in all{elsewhere}; {by}"
        )
    elif not search or not plan.target:
        text = f"study {spec.name}: {counted(len(plan.beside), 'training')} of your block; {by}"
        size = plan.beside[0].architecture.cost()  # own trainings differ in their seeds alone
        if not all(bound.keeps(size) for bound in spec.bounds):
            text += "\nit is over the study's budget: it is trained all the same, and never on the front"
    else:
        text = (
            f"study {spec.name}: {len(plan.beside)} anchor trainings, then {plan.target} of the search "
            f"({plan.target - plan.replicates} of new blocks, {plan.replicates} of its leaders again); {by}"
        )
        text = "\n".join([text, *idle_budgets(plan.space, *spec.budget)])
    if not spec.ablation:
        text += f"\nprofile {spec.profile}: {get_profile(spec.profile).why}"
    if spec.rungs:
        before_last = ", ".join(map(str, spec.rungs[:-1]))
        text += (
            f"\nrungs: once {TRIED} trials have come to the end, others may be stopped after {before_last} of "
            f"{spec.rungs[-1]} epochs, where these were found to tell"
        )
    if search and spec.latency and spec.latency.known_ms:
        plain = latency_said(spec.latency.known_ms)
        text += f"\nlatency: {spec.latency.words}, at the reference; plain K3 takes {plain}"
    if before and before.budget_words != spec.budget_words:
        text += "\nthe budget has changed: what is within it is computed again for every trial"
    return text


def environment(devices: list[str]) -> dict[str, str]:
    """Return versions and machine, as text."""
    packages = ("torch", "torchvision", "optuna", "numpy")
    versions = {name: importlib.metadata.version(name) for name in packages}
    return {
        "skexplore": __version__,
        "python": platform.python_version(),
        **versions,
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count()),
        "cpu": cpu_model(),
        "workers": count_devices(devices),
    }
