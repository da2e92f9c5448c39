"""Searches by other frameworks, as their users would run them, in the same landscapes."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

import optuna
from optuna.samplers import TPESampler

from skexplore.arch import cost, format_blocks
from skexplore.bench.landscape import Landscape
from skexplore.bench.play import Play, Watch
from skexplore.engine import constraints

NO_TRAINING = 1.0  # the error that SMAC is told of a block over the budget: it takes no constraints
MOST_PROPOSALS = 50  # of SMAC for each training


def play_optuna(land: Landscape, seed: int, *, target: int, until_found: bool = False) -> Play:
    """Play a search as Optuna comes: its default sampler is told the constraint, and every proposal is trained."""
    study, watch, seen = optuna.create_study(sampler=TPESampler(seed=seed)), Watch(land), set()
    duplicates = over_budget = 0
    while watch.trained < target and not (until_found and watch.done):
        trial = study.ask()
        levels: dict[str, Any] = {
            path: trial.suggest_categorical(path, of) for path, of in land.space.decisions.items()
        }
        blocks = land.space.decode(levels)
        name, size = format_blocks(blocks), cost(blocks)
        for key, value in constraints(land.spec, size).items():
            trial.set_constraint(key, value)
        error = land.measure(name, seed)
        study.tell(trial, error)
        watch.see(name, error)
        duplicates += name in seen
        over_budget += name not in seen and name not in land.feasible
        seen.add(name)
    return Play(
        reached=tuple(watch.reached),
        trained=watch.trained,
        duplicates=duplicates,
        over_budget=over_budget,
        lowest=watch.lowest,
    )


def has_smac() -> bool:
    """Return whether SMAC can be played: it comes with ``skexplore[bench]``."""
    return importlib.util.find_spec("smac") is not None


def play_smac(land: Landscape, seed: int, *, target: int, until_found: bool = False) -> Play:
    """Play a search by SMAC's facade for hyperparameters, its first quarter its own initial design.

    A proposal over the budget is not trained, counts as no training, and is told an error of 100 %.
    """
    from ConfigSpace import Categorical, ConfigurationSpace  # noqa: PLC0415 - takes seconds
    from smac import HyperparameterOptimizationFacade, Scenario  # noqa: PLC0415
    from smac.main.exceptions import ConfigurationSpaceExhaustedException  # noqa: PLC0415
    from smac.runhistory import TrialValue  # noqa: PLC0415

    watch, refused, decisions = Watch(land), 0, land.space.decisions
    space = ConfigurationSpace(seed=seed)
    space.add([Categorical(path, range(len(levels))) for path, levels in decisions.items()])
    with tempfile.TemporaryDirectory() as folder:
        most = MOST_PROPOSALS * target
        scenario = Scenario(
            space, deterministic=True, n_trials=most, seed=seed, output_directory=Path(folder)
        )
        facade = HyperparameterOptimizationFacade
        optimizer = facade(
            scenario,
            lambda _config, seed=0: NO_TRAINING,  # noqa: ARG005 - asked and told, never called
            initial_design=facade.get_initial_design(scenario, n_configs=max(1, target // 4)),
            overwrite=True,
            logging_level=False,
        )
        for _ in range(most):
            if watch.trained >= target or (until_found and watch.done):
                break
            try:
                asked = optimizer.ask()
            except ConfigurationSpaceExhaustedException:
                break
            levels = {path: of[int(asked.config[path])] for path, of in decisions.items()}
            name, error = format_blocks(land.space.decode(levels)), NO_TRAINING
            if name in land.feasible:
                error = land.measure(name, seed)
                watch.see(name, error)
            else:
                refused += 1
            optimizer.tell(asked, TrialValue(cost=error))
    return Play(reached=tuple(watch.reached), trained=watch.trained, refused=refused, lowest=watch.lowest)
