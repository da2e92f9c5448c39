"""What proposes the next trial, by name: the samplers of a search as data, without loading Optuna."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampler:
    """One of Optuna's samplers, or any other with its interface.

    make: where its class is (``module:class``); it is called with ``seed`` and ``options``. startup: architectures
    drawn uniformly until so many trials have results, and only then proposals (0: it begins by itself).
    learns_budget: whether a proposal that is over the budget teaches it anything. models: whether it is made of a
    model of the candidates, and proposes nothing that is over the budget or tried. together: whether Optuna's class
    proposes all decisions together as they are, so that it may be told which they are.
    """

    make: str
    options: Mapping[str, object] = field(default_factory=dict)
    startup: float = 0
    learns_budget: bool = True
    models: bool = False
    together: bool = False

    @property
    def looks_at_trials(self) -> bool:
        """Whether what it proposes depends on the trials of Optuna's study."""
        return not self.models and not math.isinf(self.startup)


STARTUP = 6  # results before TPE proposes: played as `bench search` does, 4 and 8 were no better, 10 worse
# results before the model proposes: without any it tries the extremes of the space one after another, whatever the
# seed; played on the recorded table as `bench search --table` does, 6 were worse
MODEL_STARTUP = 3

DEFAULT_SAMPLER = "model"
LARGE_SPACES = "tpe"  # by default where a space is too large to be taken apart, and so to be modelled

SAMPLERS: dict[str, Sampler] = {
    "tpe": Sampler(
        make="optuna.samplers:TPESampler",
        options={"n_startup_trials": STARTUP, "multivariate": True, "constant_liar": True},
        startup=STARTUP,
        together=True,
    ),
    "model": Sampler(make="skexplore.engine.model_sampler:ModelSampler", startup=MODEL_STARTUP, models=True),
    "random": Sampler(make="optuna.samplers:RandomSampler", startup=math.inf),
    "nsga2": Sampler(
        make="optuna.samplers:NSGAIISampler",
        options={"population_size": 10},  # a search has tens of trials, and the first generation is random
        learns_budget=False,
        together=True,
    ),
    "gp": Sampler(
        make="optuna.samplers:GPSampler",
        options={"deterministic_objective": False},
        learns_budget=False,
        together=True,
    ),
}
