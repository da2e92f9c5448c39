"""The commands that go on with a study, or make one like it, as they are typed."""

from __future__ import annotations

import shlex
from dataclasses import replace

from skexplore.arch import REFERENCE
from skexplore.errors import UserError
from skexplore.study.latency import LatencyTerms
from skexplore.study.recipe import PROFILES, Profile
from skexplore.study.spec import StudySpec, stored_space
from skexplore.study.study import Study, usual_replicates

REPEATS = 3  # seeds of a training that is asked for


def search_command(study: Study, name: str | None = None, **changes: object) -> str:
    """Return the command that searches as ``study`` was asked to, with ``changes`` of its options."""
    spec, profile = study.spec, PROFILES.get(study.spec.profile)
    usual = _usual_backbone(spec)
    options: dict[str, object] = {
        "budget-gflops": spec.budget_gflops,
        "budget-params": spec.budget_params_m,
        "budget-activations": spec.budget_activations_m,
        "budget-latency-ms": spec.budget_latency_ms,
        **_latency_options(spec.latency),
        "space": _typed(study.command, "--space") or spec.space,
        "reference": None if spec.reference == REFERENCE.name else spec.reference,
        "profile": spec.profile,
        "dataset": _dataset(study),
        "recipe": "sgd" if profile and _is_sgd(spec, profile) else None,
        "backbone": None if usual == spec.backbone else spec.backbone,
        "pruner": None if profile and bool(profile.rungs) == bool(spec.rungs) else spec.pruner,
        "mode": None if spec.mode == "constrained" else spec.mode,
        "sampler": spec.sampler,
        "anchors": spec.anchors,
        "anchor-seeds": None if profile and profile.anchor_seeds == spec.anchor_seeds else spec.anchor_seeds,
        "keep-weights": None if spec.keep_weights == "front" else spec.keep_weights,
        "seed": spec.seed,
        "trials": study.target,
    }
    if study.asked_replicates != usual_replicates(study.target):
        options["replicates"] = study.asked_replicates
    options |= changes | {"study": name or spec.name}
    given = ((f"--{key}", str(value)) for key, value in options.items() if value is not None)
    return shlex.join(["skexplore", "search", *(word for pair in given for word in pair)])


def _latency_options(terms: LatencyTerms | None) -> dict[str, object]:
    if terms is None:
        return {}
    return {
        "latency-device": terms.device,
        "latency-batch": terms.batch,
        "latency-dtype": terms.dtype,
        "latency-threads": terms.threads,
    }


def _usual_backbone(spec: StudySpec) -> str | None:
    """Return the proxy in which the study's profile trains for its reference, None where it has none."""
    profile = PROFILES.get(spec.profile)
    try:
        usual = profile.at(spec.reference_body).backbone if profile else None
        return stored_space(spec).in_which_depths_show(usual) if usual else None
    except UserError:
        return None


def _dataset(study: Study) -> str | None:
    """Return the data set as it is typed, None where it is the profile's; a study does not keep where images were."""
    split, profile = study.spec.split, PROFILES.get(study.spec.profile)
    if split.own is not None:
        return _typed(study.command, "--dataset") or f"FOLDER@{split.own.side}"
    return None if profile and profile.split.dataset == split.dataset else split.dataset


def _is_sgd(spec: StudySpec, profile: Profile) -> bool:
    """Return whether the recipe is the profile's plain SGD, on the data set of the study."""
    if profile.sgd is None:
        return False
    usual = replace(profile, recipe=profile.sgd).on(spec.split.content).recipe
    return replace(usual, cycles=()) == replace(spec.recipe, cycles=())


def _typed(command: str, option: str) -> str | None:
    """Return the value of ``option`` as it was typed: a space or a data set may be a file."""
    try:
        words = shlex.split(command)
    except ValueError:
        return None
    for at, word in enumerate(words):
        if word.startswith(f"{option}="):
            return word.removeprefix(f"{option}=")
        if word == option:
            return " ".join(words[at + 1 : at + 2]) or None
    return None


def train_command(
    study: Study, block: str, seed: int | None = None, name: str | None = None, seeds: int = REPEATS
) -> str:
    """Return the command that trains ``block`` by the study's recipe, with ``seeds`` from ``seed`` (the study's) on."""
    words = ["skexplore", "train", block, "--study", name or study.spec.name, "--seeds", str(seeds)]
    first = study.spec.seed if seed is None else seed
    return shlex.join([*words, "--seed", str(first)] if first else words)


def confirm_command(study: Study, name: str | None = None) -> str:
    """Return the command that trains the finalists of ``study`` again; name: of the confirmation, where not its own."""
    return shlex.join(["skexplore", "confirm", study.spec.name, *(["--study", name] if name else [])])


def report_command(study: Study, *names: str) -> str:
    """Return the command that reports ``study`` with the studies called ``names`` beside it."""
    return shlex.join(["skexplore", "report", study.spec.name, *names])


def again_command(study: Study, name: str | None = None) -> str:
    """Return the command that goes on with a study, whatever it is; name: of another study that does the same."""
    if study.spec.searches:
        return search_command(study, name)
    return train_command(
        study, study.records[0].block if study.records else study.spec.paper_block, name=name
    )
