"""Trainings of whole networks: what was asked, how it went, what came of it, in the folder of each.

``fit.json`` is written before the first update and ``metrics.json`` after the last; ``curve.csv`` grows between them.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from skexplore.arch import (
    Architecture,
    Backbone,
    get_backbone,
    get_reference,
    parse_blocks,
    stand_in,
)
from skexplore.data import Content
from skexplore.errors import UserError
from skexplore.files import parse, read_json, write_atomic
from skexplore.paper import get_system
from skexplore.study.fit_recipe import FitRecipe
from skexplore.study.folder import STUDIES, study_folder

FIT, CURVE, METRICS = "fit.json", "curve.csv", "metrics.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSpec:
    """What fixes a training of a whole network, on the CPU to the bit.

    block: notation, empty for a ``system`` of the paper. backbone: the network around it; reference: the one for which
    the block is written, empty where that follows from ``backbone``. resolution: of the images trained on, in pixels.
    accumulate: parts in which a batch goes through the network, each with BatchNorm statistics of its own. init:
    SHA-256 of the weights it begins with, empty for fresh ones.
    """

    block: str
    backbone: str
    reference: str = ""
    system: str = ""
    resolution: int
    content: Content
    recipe: FitRecipe
    seed: int = 0
    accumulate: int = 1
    init: str = ""

    @property
    def architecture(self) -> Architecture:
        """The network, for the images' classes, channels and size."""
        if self.system:
            own = get_system(self.system).architecture(self.content.classes, self.content.channels)
        else:
            body = get_backbone(self.backbone)
            body = stand_in(body, get_reference(self.reference)) if self.reference else body
            own = Architecture.of(
                parse_blocks(self.block),
                body,
                classes=self.content.classes,
                in_channels=self.content.channels,
            )
        return replace(own, backbone=sized(own.backbone, self.resolution))

    @property
    def title(self) -> str:
        """The network in a line."""
        return self.system or f"{self.block} in {self.backbone}"

    @property
    def comparable(self) -> dict[str, Any]:
        """What must be the same for errors of two trainings to be compared: all but network and seed."""
        return {
            name: getattr(self, name) for name in ("content", "recipe", "resolution", "accumulate", "init")
        }


def sized(body: Backbone, resolution: int) -> Backbone:
    """Return ``body`` for square images of ``resolution`` pixels; its name says so where that is not its own."""
    if body.resolution == resolution:
        return body
    return replace(body, name=f"{body.name.split('@')[0]}@{resolution}", resolution=resolution)


@dataclass(frozen=True, slots=True, kw_only=True)
class FitEpoch:
    """One epoch of a training: losses in nats, errors as fractions. seconds: of its updates."""

    epoch: int
    lr: float
    train_loss: float
    val_loss: float
    val_error: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Loss (nats) and error (fraction) of the finished network on ``images`` images of ``resolution`` pixels."""

    part: str
    resolution: int
    images: int
    loss: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class FitMetrics:
    """What came of a training: ``metrics.json``.

    measured: on validation images, and on test images if they were read. params, macs: of the network at its
    resolution. seconds: of all epochs, validation left out; waiting: the share of them in which images were made or
    waited for. labels: names of the classes in the order of logits, empty where nobody gave any. licence: of the card.
    files: SHA-256 of the files to hand over, by name; before these are all written, of the weights alone.
    """

    measured: tuple[Measured, ...]
    params: int
    macs: int
    train_images: int
    seconds: float
    waiting: float
    environment: dict[str, str]
    command: str
    version: str
    labels: tuple[str, ...] = ()
    licence: str = "other"
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """A training of a whole network as its folder tells of it; ``metrics`` is None before its end."""

    folder: Path
    spec: FitSpec
    curve: tuple[FitEpoch, ...]
    metrics: FitMetrics | None

    def error(self, part: str, resolution: int | None = None) -> float | None:
        """Return the error on ``part``, at the resolution that was trained on if no other is given, None if unknown."""
        size = resolution or self.spec.resolution
        found = self.metrics.measured if self.metrics else ()
        return next((each.error for each in found if (each.part, each.resolution) == (part, size)), None)


def is_fit(place: Path) -> bool:
    """Return whether a training of a whole network lives in the folder ``place``."""
    return (place / FIT).is_file()


def load_fit(name: str | Path) -> Fit:
    """Return the training in the folder ``name`` or ``studies/name``; raises ``UserError`` where there is none."""
    folder = name if isinstance(name, Path) else study_folder(name)
    if not is_fit(folder):
        raise UserError(
            f"{name}: holds no {FIT}; give a folder that `skexplore fit` wrote, such as {STUDIES}/NAME"
        )
    spec = parse(FitSpec, read_json(folder / FIT), str(folder / FIT))
    place = folder / METRICS
    metrics = parse(FitMetrics, read_json(place), str(place)) if place.is_file() else None
    return Fit(folder=folder, spec=spec, curve=tuple(_read_curve(folder / CURVE)), metrics=metrics)


def find_fits(names: Sequence[str]) -> list[Fit]:
    """Return the trainings called ``names``, or those inside of folders called so; empty if none of them is one.

    Raises ``UserError`` where only some are.
    """
    found: list[Fit] = []
    other: list[str] = []
    for name in names:
        folder = study_folder(name)
        places = [folder] if is_fit(folder) else sorted(path.parent for path in folder.glob(f"*/{FIT}"))
        found += [load_fit(place) for place in places]
        other += [] if places else [name]
    if found and other:
        raise UserError(
            f"{other[0]}: is no training of a whole network, as {found[0].folder} is; give either kind"
        )
    return found


def write_spec(folder: Path, spec: FitSpec) -> None:
    """Write ``fit.json``; raises ``OSError``."""
    write_atomic(folder / FIT, json.dumps(asdict(spec), indent=1) + "\n")


def write_metrics(folder: Path, metrics: FitMetrics) -> None:
    """Write ``metrics.json``; raises ``OSError``."""
    write_atomic(folder / METRICS, json.dumps(asdict(metrics), indent=1) + "\n")


def write_curve(folder: Path, curve: list[FitEpoch]) -> None:
    """Write ``curve.csv``, a row for each epoch; raises ``OSError``."""
    text = io.StringIO()
    rows = csv.DictWriter(text, [each.name for each in fields(FitEpoch)], lineterminator="\n")
    rows.writeheader()
    rows.writerows(asdict(epoch) for epoch in curve)
    write_atomic(folder / CURVE, text.getvalue())


def _read_curve(path: Path) -> list[FitEpoch]:
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [
                FitEpoch(epoch=int(row.pop("epoch")), **{name: float(value) for name, value in row.items()})
                for row in csv.DictReader(file)
            ]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UserError(f"{path}: is not what a training has written ({error})") from None
