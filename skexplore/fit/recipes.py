"""How a whole network is trained: section 4.1 of the paper, a modern recipe, or a file of one's own."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from skexplore.errors import UserError, did_you_mean
from skexplore.files import Must, among, define, read_yaml

SCHEDULES = ("steps", "cosine")
CROPS = ("random-size", "pad", "none")
_SHARE = Must("a number of at least 0 and below 1", ge=0, lt=1)
_POSITIVE = Must("a number above 0", gt=0)
_AMOUNT = Must("a number of 0 or more", ge=0)
_COUNT = Must("a whole number from 1 to 100,000", ge=1, le=100_000)
_WHOLE = Must("a whole number of 0 or more", ge=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FitRecipe:
    """What a training of a whole network is made of; learning rates are those of batches of ``batch_size`` images.

    schedule: ``steps`` divides the rate by 10 after every ``drop_every`` epochs, ``cosine`` lets it fall to 0.
    warmup: epochs of a rate that rises from 0. crop: ``random-size`` as in Szegedy et al. 2015 (an area of ``least_area``
    to 1, sides 3/4 to 4/3), ``pad`` shifts by an eighth of the side, ``none`` fits the image. ema: decay of an average
    of the weights, 0 for none; the average is what is kept. mixup, cutmix: alpha of their Beta distribution, 0 for
    none. randaugment: magnitude 0..30, 0 for none.
    """

    epochs: Annotated[int, _COUNT] = 100
    batch_size: Annotated[int, _COUNT] = 256
    lr: Annotated[float, _POSITIVE] = 0.1
    schedule: Annotated[str, among(SCHEDULES)] = "steps"
    drop_every: Annotated[int, _COUNT] = 30
    warmup: Annotated[int, _WHOLE] = 0
    momentum: Annotated[float, _SHARE] = 0.9
    nesterov: bool = False
    weight_decay: Annotated[float, _AMOUNT] = 1e-4
    label_smoothing: Annotated[float, _SHARE] = 0.1
    crop: Annotated[str, among(CROPS)] = "random-size"
    least_area: Annotated[float, _POSITIVE] = 0.08
    flip: bool = True
    randaugment: Annotated[int, _WHOLE] = 0
    mixup: Annotated[float, _AMOUNT] = 0.0
    cutmix: Annotated[float, _AMOUNT] = 0.0
    ema: Annotated[float, _SHARE] = 0.0

    def rate(self, step: int, per_epoch: int) -> float:
        """Return the learning rate of update ``step`` (from 0), of which an epoch has ``per_epoch``."""
        warm = self.warmup * per_epoch
        if step < warm:
            return self.lr * (step + 1) / warm
        if self.schedule == "steps":
            return self.lr / 10 ** (step // per_epoch // self.drop_every)
        done = (step - warm) / max(1, self.epochs * per_epoch - warm)
        return self.lr * (1 + math.cos(math.pi * done)) / 2


FIT_RECIPES = {
    "paper": FitRecipe(),  # section 4.1
    "modern": FitRecipe(
        lr=0.5,
        batch_size=1024,
        schedule="cosine",
        warmup=5,
        nesterov=True,
        weight_decay=2e-5,
        randaugment=7,
        mixup=0.1,
        cutmix=1.0,
        ema=0.9999,
    ),
}


def get_fit_recipe(name: str, **changes: Any) -> FitRecipe:
    """Return the recipe called ``name``, or that of the YAML file ``name``, with ``changes``.

    A file names what it changes of ``of: paper`` or ``of: modern`` (paper if left out). Raises ``UserError``.
    """
    given = {key: value for key, value in changes.items() if value is not None}
    if name in FIT_RECIPES:
        return replace(FIT_RECIPES[name], **given)
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        known = ", ".join(FIT_RECIPES)
        raise UserError(f"--recipe {name}: must be one of {known}, or a .yaml file{did_you_mean(name, FIT_RECIPES)}")
    data = read_yaml(path)
    base = data.pop("of", "paper") if isinstance(data, dict) else "paper"
    if base not in FIT_RECIPES:
        raise UserError(f"{name}: of: {base!r}: must be one of {', '.join(FIT_RECIPES)}")
    usual = {each: getattr(FIT_RECIPES[base], each) for each in FitRecipe.__dataclass_fields__}
    changed = usual | data if isinstance(data, dict) else data
    return replace(define(FitRecipe, changed, name, lambda _: ()), **given)
