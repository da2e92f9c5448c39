"""How a whole network is trained to be used: the paper's recipes, a modern one, or a file of one's own."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from skexplore.errors import UserError, did_you_mean
from skexplore.files import Must, Problem, among, define, read_yaml
from skexplore.words import counted, listed

FIT_SCHEDULES = ("steps", "cosine")
CROPS = ("random-size", "pad", "none")
_SHARE = Must("a number of at least 0 and below 1", ge=0, lt=1)
_POSITIVE = Must("a number above 0", gt=0)
_AREA = Must("a number above 0 and at most 1", gt=0, le=1)
_AMOUNT = Must("a number of 0 or more", ge=0)
_COUNT = Must("a whole number from 1 to 100,000", ge=1, le=100_000)
_EPOCHS = Must("a whole number from 0 to 100,000", ge=0, le=100_000)
_MAGNITUDE = Must("a whole number from 0 to 30", ge=0, le=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class FitRecipe:
    """What a training of a whole network is made of: SGD with momentum on cross-entropy.

    batch_size: of all devices together. lr: after the ``warmup`` epochs, in which it rises in a straight line from 0.
    schedule: ``steps`` divides the rate by 10 after each share ``drops`` of the epochs, ``cosine`` lets it fall to 0.
    crop: ``random-size`` as in Szegedy et al. 2015 (an area of ``least_area`` to 1, sides 3:4 to 4:3), ``pad`` shifts
    by up to an eighth of the side, ``none`` takes the whole image. flip: mirrors half of the images. randaugment:
    magnitude, mixup and cutmix: alpha of their Beta distribution, 0 for none. ema: decay of an average of the weights,
    which is what is kept then, 0 for none.
    """

    epochs: Annotated[int, _COUNT] = 100
    batch_size: Annotated[int, _COUNT] = 256
    lr: Annotated[float, _POSITIVE] = 0.1
    schedule: Annotated[str, among(FIT_SCHEDULES)] = "steps"
    drops: tuple[Annotated[float, _AREA], ...] = (0.3, 0.6, 0.9)
    warmup: Annotated[int, _EPOCHS] = 0
    momentum: Annotated[float, _SHARE] = 0.9
    nesterov: bool = False
    weight_decay: Annotated[float, _AMOUNT] = 1e-4
    label_smoothing: Annotated[float, _SHARE] = 0.1
    crop: Annotated[str, among(CROPS)] = "random-size"
    least_area: Annotated[float, _AREA] = 0.08
    flip: bool = True
    randaugment: Annotated[int, _MAGNITUDE] = 0
    mixup: Annotated[float, _AMOUNT] = 0.0
    cutmix: Annotated[float, _AMOUNT] = 0.0
    ema: Annotated[float, _SHARE] = 0.0

    @property
    def whole(self) -> bool:
        """Whether images enter at the size of the network: then they can be kept decoded at that size."""
        return self.crop != "random-size" and not self.randaugment

    def rate(self, step: int, per_epoch: int) -> float:
        """Return the learning rate of update ``step`` (from 0), of which an epoch has ``per_epoch``."""
        warm, steps = self.warmup * per_epoch, self.epochs * per_epoch
        if step < warm:
            return self.lr * (step + 1) / warm
        if self.schedule == "cosine":
            return self.lr * (1 + math.cos(math.pi * (step - warm) / (steps - warm))) / 2
        divided: float = self.lr / 10 ** sum(step >= round(share * steps) for share in self.drops)
        return divided

    @property
    def words(self) -> str:
        """The recipe in a line."""
        rate = f"learning rate {self.lr:g}"
        warm = f" after {counted(self.warmup, 'epoch')} of warm-up" if self.warmup else ""
        fall = listed([f"{100 * share:g} %" for share in self.drops], "and")
        schedule = "falling to 0 as a cosine" if self.schedule == "cosine" else f"divided by 10 at {fall}"
        images = {
            "random-size": "crops of random size",
            "pad": "random crops after padding",
            "none": "no crops",
        }[self.crop]
        more = [images, *(["flips"] if self.flip else [])]
        more += [
            f"{name} {value:g}"
            for name in ("randaugment", "mixup", "cutmix")
            if (value := getattr(self, name))
        ]
        more += [f"an average of the weights of decay {self.ema:g}"] if self.ema else []
        return (
            f"SGD with {'Nesterov ' if self.nesterov else ''}momentum {self.momentum:g}, {rate}"
            f"{warm}, {schedule}, over "
            f"{counted(self.epochs, 'epoch')} in batches of {self.batch_size:,}, weight decay {self.weight_decay:g}, "
            f"label smoothing {self.label_smoothing:g}, {listed(more, 'and')}"
        )


FIT_RECIPES = {
    "paper": FitRecipe(),  # section 4.1, ImageNet
    "paper-cifar": FitRecipe(  # supplement D
        epochs=300, batch_size=128, drops=(0.5, 0.75), weight_decay=5e-4, label_smoothing=0.0, crop="pad"
    ),
    "modern": FitRecipe(  # after Wightman et al. 2021 (A2/A3), with SGD
        batch_size=1024,
        lr=0.5,
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


def get_fit_recipe(name: str, *, epochs: int | None = None) -> FitRecipe:
    """Return the recipe called ``name``, or that of the YAML file ``name``, for so many ``epochs`` if given.

    A file names what it changes of the recipe ``of`` (``paper`` if left out). Raises ``UserError`` for an unknown name,
    for everything wrong in the file, and where the warm-up would be all of the training.
    """
    found = FIT_RECIPES.get(name) or _read(name)
    if epochs is not None:
        found = replace(found, epochs=epochs)
    if problems := [f"{place}: {problem}" for place, problem in _meaning(asdict(found))]:
        raise UserError(f"--recipe {name}: {problems[0]}")
    return found


def _read(name: str) -> FitRecipe:
    path, known = Path(name), ", ".join(FIT_RECIPES)
    if path.suffix not in (".yaml", ".yml"):
        raise UserError(f"--recipe {name}: must be {known} or a .yaml file{did_you_mean(name, FIT_RECIPES)}")
    data = read_yaml(path)
    if not isinstance(data, dict):
        return define(FitRecipe, data, name, lambda _: ())
    base = data.pop("of", "paper")
    if base not in FIT_RECIPES:
        raise UserError(f"{name}: of: {base!r}: must be one of {known}")
    return define(FitRecipe, asdict(FIT_RECIPES[base]) | data, name, _meaning)


def _meaning(data: dict[Any, Any]) -> Iterator[Problem]:
    """Yield what is wrong beyond the type of each field."""
    epochs, warmup, drops = (data.get(name) for name in ("epochs", "warmup", "drops"))
    if epochs is not None and warmup is not None and warmup >= epochs:
        yield "warmup", f"{warmup} epochs of {epochs}: must be fewer; give more epochs or less warm-up"
    if drops and None not in drops and any(one >= other for one, other in pairwise(drops)):
        yield "drops", "must rise"
