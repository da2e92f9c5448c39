"""Images per second of a training on this machine: measured before a search says how long it will take.

Several devices are measured at the same time, each in a process of its own (``python -m
skexplore.training.throughput FD``, started as a ``Child``), as a ``Pool`` would use them.
"""

from __future__ import annotations

import math
import signal
import tempfile
import time
from collections.abc import Iterator
from typing import IO

import torch
from torch import Tensor

from skexplore.arch import whole_size
from skexplore.errors import StudyError, UserError
from skexplore.study import TrainSpec
from skexplore.training.batches import train_batches
from skexplore.training.child import GONE, Child, connect
from skexplore.training.loop import prepare, update

MOST_IMAGES = 10_000  # random images held; more of them would not change the speed


class _Training:
    """Updates of a network on random images, batch after batch without end; the first one is made at once."""

    def __init__(self, spec: TrainSpec, device: str) -> None:
        self._spec = spec
        self._device = torch.device(device)
        self._network, self._optimizer = prepare(spec, self._device)
        self._network.train()
        self._batches = self._stream()
        self._first = self._rate(0.0)

    def _stream(self) -> Iterator[tuple[Tensor, Tensor]]:
        recipe, split = self._spec.recipe, self._spec.split
        generator = torch.Generator().manual_seed(0)
        count = max(2, recipe.batch_size, min(split.train_images, MOST_IMAGES))
        size = whole_size(self._spec.body.resolution)
        pixels = torch.randint(
            256, (count, self._spec.body.in_channels, *size), dtype=torch.uint8, generator=generator
        )
        labels = torch.randint(split.classes, (count,), generator=generator)
        images, labels = pixels.to(self._device), labels.to(self._device)
        epoch = 0
        while True:
            yield from train_batches(
                images,
                labels,
                batch_size=recipe.batch_size,
                seed=0,
                epoch=epoch,
                augment=recipe.augment,
                crop=recipe.crop,
                content=split.content,
            )
            epoch += 1

    def rate(self, seconds: float) -> float:
        """Return images per second over about ``seconds``; of the first update if that alone took longer."""
        rate, took = self._first
        return rate if took > seconds else self._rate(seconds)[0]

    def _rate(self, seconds: float) -> tuple[float, float]:
        done, started = 0, time.perf_counter()
        while True:
            images, labels = next(self._batches)
            loss = update(self._network, self._optimizer, images, labels, self._spec.recipe)
            done += len(images)
            if time.perf_counter() - started >= seconds:
                float(loss)  # a GPU may still be at it
                took = time.perf_counter() - started
                return done / took, took


def throughput(spec: TrainSpec, device: str, seconds: float) -> float:
    """Return images per second of training ``spec`` on ``device``: augmentation, forward, backward and update.

    Random images stand for the data set, so that none is needed; evaluation is not in it. Measured for about
    ``seconds`` after one update to warm up; if that takes longer, it is the measurement. Raises ``UserError``
    for a network that cannot be built and for seconds that are not positive, and torch's own errors.
    """
    _check(seconds)
    return _Training(spec, device).rate(seconds)


def measure(spec: TrainSpec, devices: list[str], seconds: float, *, threads: int = 1) -> float:
    """Return images per second of all ``devices`` together, one process each, measured at the same time.

    Each measures as ``throughput``, with ``threads`` of torch on ``cpu``; they begin together when all are
    ready. Raises ``UserError`` as ``throughput`` and if there is no device, ``StudyError`` if a process fails.
    """
    _check(seconds)
    if not devices:
        raise UserError("no device to measure on; at least one is needed")
    with tempfile.TemporaryFile() as log:
        children = [
            Child("skexplore.training.throughput", log=log, threads=threads if device == "cpu" else None)
            for device in devices
        ]
        try:
            for child, device in zip(children, devices, strict=True):
                child.send((spec, device, seconds, threads))
            for child, device in zip(children, devices, strict=True):
                _hear(child, device, log)  # its first update is made
            for child in children:
                child.send("go")
            return math.fsum(
                _hear(child, device, log) for child, device in zip(children, devices, strict=True)
            )
        finally:
            for child in children:
                child.end()


def _check(seconds: float) -> None:
    if not 0 < seconds < math.inf:
        raise UserError(f"{seconds} seconds to measure: must be positive")


def _hear(child: Child, device: str, log: IO[bytes]) -> float:
    """Return what ``child`` says next; what it says of its death is the error."""
    try:
        said = child.connection.recv()
    except GONE:
        code = child.wait()
    else:
        if isinstance(said, UserError):
            raise said
        return float(said)
    if code == -signal.SIGKILL:
        raise StudyError(
            f"measuring on {device}: the process was killed, probably out of memory; use fewer --workers, or a "
            "profile with smaller batches or networks"
        )
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
    raise StudyError(f"measuring on {device} failed (exit status {code}): {lines[-1][:300]}")


def main() -> None:
    """Measure in this process, as ``measure`` asks."""
    connection = connect()
    spec, device, seconds, threads = connection.recv()
    if device == "cpu":
        torch.set_num_threads(threads)
    try:
        training = _Training(spec, device)
    except UserError as error:
        connection.send(error)
        return
    connection.send(0.0)  # ready
    connection.recv()  # all begin together
    connection.send(training.rate(seconds))


if __name__ == "__main__":
    main()
