"""How a network is trained, as data: recipes, splits, profiles, and the specification of one training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Annotated

from skexplore.arch import (
    PLAIN,
    REFERENCE,
    Architecture,
    Backbone,
    Setting,
    blocks_of,
    body_of,
    get_backbone,
    proxy_name,
    stand_in,
)
from skexplore.data import CIFAR, DATASETS, Content
from skexplore.errors import UserError, lookup
from skexplore.files import among
from skexplore.words import listed

SCHEDULES = ("one_cycle", "steps")
Schedule = Annotated[str, among(SCHEDULES)]
OPTIMIZERS = ("sgd", "muon")
Optimizer = Annotated[str, among(OPTIMIZERS)]
RECIPES = ("sgd",)  # instead of a profile's own: the paper's plain optimizer at the same number of images


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """An optimizer with momentum under a schedule that spans all ``epochs``.

    lr: highest learning rate. schedule: ``one_cycle`` (a linear rise over the fraction ``warmup`` of the steps,
    then a linear fall to 0) or ``steps`` (divided by 10 at 50 % and at 75 % of the steps). augment: random crop
    with 4 pixels of reflect padding, and horizontal flip; without ``crop`` the flip alone. optimizer: ``sgd``, or
    ``muon`` for convolutions and SGD of highest rate ``sgd_lr`` for the rest. whiten: the first convolution begins
    with the principal components of image patches instead of random weights; it is trained all the same. cycles:
    epochs after which the schedule has come to its end and begins anew (warm restarts, Loshchilov and Hutter 2017), so
    that an error there is one of annealed weights.
    """

    epochs: int
    batch_size: int = 128
    lr: float = 0.1
    schedule: Schedule = "one_cycle"
    momentum: float = 0.9
    nesterov: bool = True
    weight_decay: float = 5e-4
    warmup: float = 0.25
    label_smoothing: float = 0.0
    augment: bool = True
    crop: bool = True
    optimizer: Optimizer = "sgd"
    sgd_lr: float = 0.1
    whiten: bool = False
    cycles: tuple[int, ...] = ()

    @property
    def stored(self) -> dict[str, object]:
        """The recipe as plain data; what came later is left out where it changes nothing, so that old names hold."""
        usual = {each.name: each.default for each in fields(self)}
        idle = {"crop"} if not self.augment else set()
        idle |= {"sgd_lr"} if self.optimizer == "sgd" else set()
        return {
            name: value
            for name, value in asdict(self).items()
            if name not in _LATER or (value != usual[name] and name not in idle)
        }

    @property
    def extras(self) -> str:
        """What is not plain SGD on crops and flips, in words that go on after a comma; empty where nothing is."""
        said = []
        if self.optimizer == "muon":
            said.append(f"Muon for convolutions and SGD of rate {self.sgd_lr:g} for the rest")
        if self.augment and not self.crop:
            said.append("flips without crops")
        if self.whiten:
            said.append("first convolution begun with whitened patches of the proxy's images")
        if self.cycles:
            said.append(f"schedule begun anew after {listed(map(str, self.cycles), 'and')} epochs")
        return "".join(f", {words}" for words in said)

    @property
    def id(self) -> str:
        """Identity of the recipe; results of different recipes are not comparable."""
        return hashlib.sha256(json.dumps(self.stored, sort_keys=True).encode()).hexdigest()[:8]


MOST_OFTEN = 20  # times that few images are seen in the place of many
# fields that recipes of earlier studies do not have
_LATER = ("crop", "optimizer", "sgd_lr", "whiten", "cycles")


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """The first ``train_images`` and ``val_images`` of the fixed stratified split of ``dataset``: 45,000 and 5,000.

    More than 5,000 are held out where fewer are trained on: of the 50,000, what is left. own: what is known of a user's
    own images, None for a data set that is known by name.
    """

    dataset: str = "cifar10"
    classes: int = 10
    train_images: int = 45_000
    val_images: int = 5_000
    own: Content | None = None

    @property
    def content(self) -> Content:
        """What the data set holds."""
        if self.own:
            return self.own
        known = DATASETS.get(self.dataset)  # a study outlives the entry of its data set
        return (
            known.content
            if known
            else replace(CIFAR, name=self.dataset, title=self.dataset, classes=self.classes)
        )

    @property
    def stored(self) -> dict[str, object]:
        """What is kept of it: a split of a known data set as versions before a user's own images kept it."""
        return {name: value for name, value in asdict(self).items() if name != "own" or value}

    @property
    def title(self) -> str:
        """The data set's name as it is written."""
        return self.content.title

    @property
    def name(self) -> str:
        """The data set in the names of studies: with the side of a user's own images where that is not usual."""
        return (
            self.dataset
            if self.own is None or self.own.side == CIFAR.side
            else f"{self.dataset}-{self.own.side}px"
        )

    @property
    def id(self) -> str:
        """Identity of the split, readable."""
        own = f"-{self.own.digest[:12]}-{self.own.side}px" if self.own else ""
        return f"{self.dataset}{own}-{self.train_images}-{self.val_images}"

    def around(self, backbone: Backbone) -> Backbone:
        """Return ``backbone`` for these images: with their classes, channels and size."""
        if self.own is None:
            return replace(backbone, classes=self.classes)
        sized = get_backbone(f"{backbone.name.split('@')[0]}@{self.own.side}")
        return replace(
            backbone,
            name=sized.name,
            resolution=sized.resolution,
            classes=self.classes,
            in_channels=self.own.channels,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSpec:
    """Everything that one training depends on; ``block`` is canonical notation at the reference, a backbone's name."""

    block: str
    net_id: str
    backbone: str
    recipe: Recipe
    split: Split
    seed: int
    setting: Setting = PLAIN
    reference: str = REFERENCE.name

    @property
    def body(self) -> Backbone:
        """The backbone as it stands for the reference, with the classes of the data set."""
        proxy = get_backbone(self.setting.backbone or self.backbone)
        whole = body_of(self.block, get_backbone(self.reference))
        return self.split.around(stand_in(proxy, whole))

    @property
    def architecture(self) -> Architecture:
        """The network that is trained."""
        return self.setting.around(blocks_of(self.block), self.body)

    @property
    def key(self) -> str:
        """Replay key: equal keys are one measurement."""
        return f"{self.net_id}-{self.recipe.id}-{self.split.id}-s{self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A proxy network, a recipe and a number of images that belong together; ``why`` and ``brief`` say what for.

    sgd: plain SGD with crops and flips, for ``--recipe sgd``, where the recipe is another. rungs: epochs after which a
    search may stop a trial, the last the recipe's; one rung stops nothing. lr_on: the highest learning rate on other
    data sets, where it is not the recipe's.
    """

    name: str
    backbone: str
    recipe: Recipe
    sgd: Recipe | None = None
    split: Split = field(default_factory=Split)
    rungs: tuple[int, ...] = ()
    trials: int
    anchor_seeds: int
    why: str
    brief: str = ""
    lr_on: Mapping[str, float] = field(default_factory=dict)

    def at(self, reference: Backbone) -> Profile:
        """Return the profile for another reference: in the proxy that stands for it; ``UserError`` if there is none."""
        return replace(self, backbone=proxy_name(reference, get_backbone(self.backbone)))

    def on(self, data: Content) -> Profile:
        """Return the profile for another data set.

        Where that has fewer images to train on they are seen so much more often, up to ``MOST_OFTEN`` times: a training
        makes as many updates, and its rungs stand where they stood.
        """
        split, rate = self.split, self.lr_on.get(data.name, self.recipe.lr)
        train_images = min(split.train_images, data.most_train)
        often = min(MOST_OFTEN, max(1, round(split.train_images / train_images)))
        recipe = replace(
            self.recipe,
            lr=rate,
            epochs=often * self.recipe.epochs,
            cycles=tuple(often * epoch for epoch in self.recipe.cycles),
        )
        return replace(
            self,
            recipe=recipe,
            rungs=tuple(often * epoch for epoch in self.rungs),
            split=Split(
                dataset=data.name,
                classes=data.classes,
                train_images=train_images,
                val_images=min(split.val_images, data.most_val(train_images)),
                own=data if data.digest else None,
            ),
        )


def rung_epochs(first: int, eta: int, epochs: int) -> tuple[int, ...]:
    """Return first * eta^k up to ``epochs``, which must be one of them (``UserError`` else)."""
    rungs = [first]
    while rungs[-1] < epochs:
        rungs.append(rungs[-1] * eta)
    if rungs[-1] != epochs:
        raise UserError(f"{epochs} epochs are not {first} times a power of {eta}: rungs could not end there")
    return tuple(rungs)


# What learns fastest in so few images, of what docs/proxy-and-recipe.md tells was tried.
_FAST = Recipe(
    epochs=1,
    batch_size=64,
    optimizer="muon",
    lr=0.05,
    sgd_lr=0.05,
    warmup=0.1,
    label_smoothing=0.1,
    crop=False,
    whiten=True,
)
_SGD = Recipe(epochs=1, batch_size=64)
# full resolution: the share of each kernel's taps inside its maps is near the reference's
_FAITHFUL = "4x4d-1111-c32"

PROFILES: dict[str, Profile] = {
    "smoke": Profile(
        name="smoke",
        backbone=_FAITHFUL,
        recipe=_FAST,
        sgd=_SGD,
        split=Split(train_images=2_000, val_images=1_000),
        trials=3,
        anchor_seeds=2,
        why="shows in under two minutes that everything works; the errors mean nothing",
        brief="a minute, to see it work",
    ),
    "quick": Profile(
        name="quick",
        backbone=_FAITHFUL,
        recipe=_FAST,
        sgd=_SGD,
        split=Split(train_images=20_000, val_images=10_000),
        trials=10,
        anchor_seeds=2,
        why="a whole search within 15 minutes on two CPU cores",
        brief="15 minutes on two CPU cores",
    ),
    "standard": Profile(
        name="standard",
        backbone="16x4d-1111",
        recipe=Recipe(epochs=27, batch_size=256, lr=0.2),
        rungs=rung_epochs(3, 3, 27),
        trials=60,
        anchor_seeds=3,
        why="for a GPU: all 45,000 images; a search may stop trials after 3 or 9 of 27 epochs",
        brief="a GPU",
    ),
    "paper": Profile(
        name="paper",
        backbone="sknet29",
        recipe=Recipe(epochs=300, schedule="steps", nesterov=False),
        trials=10,
        anchor_seeds=3,
        why="section 4.2 and supplement D of the SKNet paper on its CIFAR network; days on a GPU",
        brief="section 4.2, days",
        lr_on={"cifar100": 0.05},  # supplement D
    ),
}


def get_profile(name: str) -> Profile:
    """Return the profile called ``name``; an unknown one is a ``UserError``."""
    return lookup(name, PROFILES, what="profile")
