"""Where the time of a training goes on a CPU, and what trains fastest; ratios of turns, as in ``nn.benchmark``."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from skexplore.arch import net_id
from skexplore.data import prepare_data
from skexplore.nn import LAYOUTS, environment, in_turns, median_ratio, use_threads
from skexplore.study import Split, TrainSpec, get_profile
from skexplore.training.batches import load_split, train_batches
from skexplore.training.loop import Data, prepare, train_segment, update
from skexplore.training.pool import core_count
from skexplore.training.throughput import measure
from skexplore.training.weights import save_weights

BLOCK = "k3+k3d2"
BATCH_SIZES = (64, 128, 256)
AT_WORK = ("updates", "validation forward")  # what a training is for; all else is overhead


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainTimings:
    """What ``time_train`` found.

    parts: seconds of a trial of one epoch by kind of work, in a worker that has made a network before (its first
    takes ``first_network_seconds``). overhead: share of their sum that is neither an update (forward, backward,
    optimizer step) nor the forward pass of evaluation. times_one_process: images per second of 2 processes with 1
    thread each over those of 1 process with 2. times_recipe_batch: images per second by batch size over those of
    the recipe's. times_nchw: speed of channels_last over that of NCHW.
    """

    data: str
    spec: TrainSpec
    turns: int
    rounds: int
    parts: dict[str, float]
    overhead: float
    first_network_seconds: float
    two_processes_images_per_second: float
    one_process_images_per_second: float
    times_one_process: float
    batch_images_per_second: dict[int, float]
    times_recipe_batch: dict[int, float]
    times_nchw: float
    environment: dict[str, object]


def time_train(
    *, quick: bool = False, data_dir: Path | None = None, progress: Callable[[str], None] = lambda _: None
) -> TrainTimings:
    """Time the training of the ``quick`` profile's network on the CPU; ``quick``: a little of it, on random images.

    ``progress`` is told what comes next. Raises ``UserError`` if CIFAR-10 cannot be had.
    """
    profile = get_profile("quick")
    spec = TrainSpec(
        block=BLOCK,
        net_id=net_id(BLOCK, profile.backbone),
        backbone=profile.backbone,
        recipe=profile.recipe,
        split=replace(profile.split, train_images=256, val_images=128) if quick else profile.split,
        seed=0,
    )
    data = _random(spec.split) if quick else _real(spec.split, data_dir)
    turns, rounds, seconds = (1, 1, 0.1) if quick else (5, 3, 3.0)
    with _one_thread():
        progress("one epoch of a trial")
        started = time.perf_counter()
        prepare(spec, "cpu")  # its optimizer makes torch import much of itself
        first = time.perf_counter() - started
        parts = _parts(spec, data)
        progress("batch sizes")
        by_batch = _by_batch(spec, data, turns)
        progress("memory layouts")
        by_layout = _by_layout(spec, data, turns)
        where = environment() | {"load": round(os.getloadavg()[0], 1)}
    together: list[float] = []
    alone: list[float] = []
    for turn in range(rounds):
        progress(f"processes, turn {turn + 1} of {rounds}")
        together.append(measure(spec, ["cpu", "cpu"], seconds))
        alone.append(measure(spec, ["cpu"], seconds, threads=2))
    own = by_batch[spec.recipe.batch_size]
    return TrainTimings(
        data="synthetic random images" if quick else "CIFAR-10",
        spec=spec,
        turns=turns,
        rounds=rounds,
        parts=parts,
        overhead=1 - sum(parts[name] for name in AT_WORK) / sum(parts.values()),
        first_network_seconds=first,
        two_processes_images_per_second=statistics.median(together),
        one_process_images_per_second=statistics.median(alone),
        times_one_process=median_ratio(together, alone),
        batch_images_per_second={
            size: max(BATCH_SIZES) / statistics.median(took) for size, took in by_batch.items()
        },
        times_recipe_batch={size: median_ratio(own, took) for size, took in by_batch.items()},
        times_nchw=median_ratio(by_layout["NCHW"], by_layout["channels_last"]),
        environment=where | {"cores": core_count()},
    )


@contextmanager
def _one_thread() -> Any:
    before = torch.get_num_threads()
    use_threads(1)  # as a worker does
    try:
        yield
    finally:
        use_threads(before)


def _real(split: Split, data_dir: Path | None) -> Data:
    images, labels, val_images, val_labels = load_split(
        prepare_data(split.dataset, data_dir=data_dir),
        train_images=split.train_images,
        val_images=split.val_images,
        device="cpu",
    )
    return Data(images=images, labels=labels, val_images=val_images, val_labels=val_labels)


def _random(split: Split) -> Data:
    generator = torch.Generator().manual_seed(0)

    def images(count: int) -> torch.Tensor:
        return torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)

    def labels(count: int) -> torch.Tensor:
        return torch.randint(split.classes, (count,), generator=generator)

    return Data(
        images=images(split.train_images),
        labels=labels(split.train_images),
        val_images=images(split.val_images),
        val_labels=labels(split.val_images),
    )


def _parts(spec: TrainSpec, data: Data) -> dict[str, float]:
    """Return the seconds of a trial of one epoch by kind of work; all of its wall time is in one of them."""
    parts: dict[str, float] = {}
    last = time.perf_counter()

    def lap(part: str) -> None:
        nonlocal last
        now = time.perf_counter()
        parts[part] = parts.get(part, 0.0) + now - last
        last = now

    with tempfile.TemporaryDirectory() as folder:
        last = time.perf_counter()
        network, _ = train_segment(spec, data, checkpoint=Path(folder) / "c.pt", until=1, lap=lap)
        lap("bookkeeping")
        save_weights(Path(folder) / "w.safetensors", network.state_dict())
        lap("weights")
    return parts


def _by_batch(spec: TrainSpec, data: Data, turns: int) -> dict[int, list[float]]:
    runs = {size: _updates(spec, data, size, torch.channels_last) for size in BATCH_SIZES}
    return in_turns(runs, turns)


def _by_layout(spec: TrainSpec, data: Data, turns: int) -> dict[str, list[float]]:
    runs = {name: _updates(spec, data, spec.recipe.batch_size, form) for name, form in LAYOUTS.items()}
    return in_turns(runs, 2 * turns)


def _updates(spec: TrainSpec, data: Data, batch_size: int, form: torch.memory_format) -> Callable[[], None]:
    """Return a call that updates a network of its own on the same images as any other, in batches of this size."""
    network, optimizer = prepare(spec, "cpu")
    network.to(memory_format=form).train()
    count = max(BATCH_SIZES)
    loader = train_batches(
        data.images[:count], data.labels[:count], batch_size=batch_size, seed=0, epoch=0, augment=True
    )
    given = [(images.contiguous(memory_format=form), labels) for images, labels in loader]

    def run() -> None:
        for images, labels in given:
            update(network, optimizer, images, labels, spec.recipe)

    return run
