"""Trainings of whole networks with known errors, made here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from skexplore.data import DATASETS
from skexplore.study import FIT_RECIPES, Fit, FitEpoch, FitMetrics, FitSpec, Measured

RECIPE = replace(FIT_RECIPES["paper-cifar"], epochs=2)


def training(block, seed, error, *, test=None, recipe=RECIPE, data="cifar10", **spec):
    """Return a finished training (unfinished if ``error`` is None) with these errors."""
    own = FitSpec(**{
        "block": block, "backbone": "sknet29", "resolution": 32, "content": DATASETS[data].content, "recipe": recipe,
        "seed": seed,
    } | spec)  # fmt: skip
    curve = (FitEpoch(epoch=1, lr=0.1, train_loss=1.0, val_loss=1.0, val_error=0.5, seconds=1.0),)
    metrics = None
    if error is not None:
        measured = [("val", error), *([] if test is None else [("test", test)])]
        metrics = FitMetrics(
            measured=tuple(Measured(part=p, resolution=32, images=100, loss=1.0, error=e) for p, e in measured),
            params=10, macs=20, train_images=45_000, seconds=9.0, waiting=0.02, environment={"cpu": "x"}, command="c",
            version="0",
        )  # fmt: skip
        curve += (replace(curve[0], epoch=2, val_error=error),)
    name = f"{own.title.split()[0]}-s{seed}"
    return Fit(folder=Path(name), spec=own, curve=curve, metrics=metrics)


def six(**options):
    errors = {"k3": (0.20, 0.21, 0.19), "k3+k3d2": (0.152, 0.158, 0.14)}
    return [
        training(b, s, e, test=e + 0.01, **options) for b, own in errors.items() for s, e in enumerate(own)
    ]
