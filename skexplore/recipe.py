"""How a network is trained, as data: recipes, splits, profiles, and the specification of one training."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field

from skexplore.errors import UserError


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """SGD with Nesterov momentum under a one-cycle schedule that spans all ``epochs``.

    lr: peak learning rate. warmup: fraction of the steps that rise to it. augment: random crop with 4 pixels
    of reflect padding, and horizontal flip.
    """

    epochs: int
    batch_size: int = 128
    lr: float = 0.1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    warmup: float = 0.25
    label_smoothing: float = 0.0
    augment: bool = True

    @property
    def id(self) -> str:
        """Identity of the recipe; results of different recipes are not comparable."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The first ``train_images`` and ``val_images`` of the fixed stratified 45,000 / 5,000 split."""

    dataset: str = "cifar10"
    train_images: int = 45_000
    val_images: int = 5_000

    @property
    def id(self) -> str:
        """Identity of the split, readable."""
        return f"{self.dataset}-{self.train_images}-{self.val_images}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSpec:
    """Everything that one training depends on; ``block`` is canonical notation at the reference."""

    block: str
    net_id: str
    backbone: str
    recipe: Recipe
    split: Split
    seed: int

    @property
    def key(self) -> str:
        """Replay key: equal keys are one measurement."""
        return f"{self.net_id}-{self.recipe.id}-{self.split.id}-s{self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A proxy network, a recipe and a number of images that belong together; ``why`` says what for."""

    name: str
    backbone: str
    recipe: Recipe
    split: Split = field(default_factory=Split)
    trials: int
    anchor_seeds: int
    why: str


PROFILES: dict[str, Profile] = {
    "smoke": Profile(
        name="smoke",
        backbone="8x4d-1111-s2",
        recipe=Recipe(epochs=1, batch_size=64),
        split=Split(train_images=2_000, val_images=1_000),
        trials=3,
        anchor_seeds=2,
        why="shows in under two minutes that everything works; the errors mean nothing",
    ),
    "quick": Profile(
        name="quick",
        backbone="8x4d-1111-s2",
        recipe=Recipe(epochs=3, batch_size=64),
        split=Split(train_images=10_000, val_images=5_000),
        trials=10,
        anchor_seeds=2,
        why="a whole search within 15 minutes on two CPU cores; separates only large differences",
    ),
}


def get_profile(name: str) -> Profile:
    """Return the profile called ``name``; an unknown one is a ``UserError``."""
    if name not in PROFILES:
        raise UserError(f"unknown profile {name!r}; known: {', '.join(PROFILES)}")
    return PROFILES[name]
