"""Images per second of a training on this machine: measured before a search says how long it will take.

``python -m skexplore.training.throughput DEVICE SECONDS [THREADS]`` reads a ``TrainSpec`` as a line of JSON, writes
``ready`` after a first update, waits for another line (or the end of its input) and writes the number.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import IO

import torch
from torch import Tensor

from skexplore.errors import StudyError, UserError
from skexplore.files import parse
from skexplore.study import TrainSpec
from skexplore.training.batches import batches
from skexplore.training.loop import prepare, update

MOST_IMAGES = 10_000  # random images held; more of them would not change the speed


class _Training:
    """Updates of a network on random images, batch after batch for ever; the first one is made at once."""

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
        side = self._spec.body.resolution
        pixels = torch.randint(256, (count, 3, side, side), dtype=torch.uint8, generator=generator)
        labels = torch.randint(split.classes, (count,), generator=generator)
        images, labels = pixels.to(self._device), labels.to(self._device)
        epoch = 0
        while True:
            yield from batches(
                images, labels, batch_size=recipe.batch_size, seed=0, epoch=epoch, augment=recipe.augment
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
        running = [_start(device, seconds, threads, log) for device in devices]
        try:
            for process in running:
                _say(process, json.dumps(asdict(spec)))
            for process, device in zip(running, devices, strict=True):
                _hear(process, device, log)
            for process in running:
                _say(process, "go")
            answers = [
                float(_hear(process, device, log)) for process, device in zip(running, devices, strict=True)
            ]
        finally:
            for process in running:
                process.kill()
                process.wait()
                for pipe in (process.stdin, process.stdout):
                    assert pipe is not None
                    pipe.close()
    return math.fsum(answers)


def _check(seconds: float) -> None:
    if not 0 < seconds < math.inf:
        raise UserError(f"{seconds} seconds to measure: must be positive")


def _start(device: str, seconds: float, threads: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "skexplore.training.throughput", device, str(seconds), str(threads)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        bufsize=0,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)} if device == "cpu" else None,
    )


def _say(process: subprocess.Popen[bytes], line: str) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):  # it died: the end of its output comes next, and says so
        process.stdin.write(line.encode() + b"\n")


def _hear(process: subprocess.Popen[bytes], device: str, log: IO[bytes]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().decode().strip()
    if line:
        return line
    code = process.wait()
    log.seek(0)
    said = log.read().decode(errors="replace").strip().splitlines() or ["it said nothing"]
    if code == 2:
        raise UserError(said[-1])
    if code == -signal.SIGKILL:
        raise StudyError(
            f"measuring on {device}: the process was killed, most likely for want of memory; fewer --workers, or a "
            "profile of smaller batches or networks, take less"
        )
    raise StudyError(f"measuring on {device} failed (exit status {code}): {said[-1][:300]}")


def main() -> None:
    """Measure in this process, as ``measure`` asks."""
    device, seconds, threads = sys.argv[1], float(sys.argv[2]), int(sys.argv[3]) if len(sys.argv) > 3 else 1
    if device == "cpu":
        torch.set_num_threads(threads)
    try:
        training = _Training(parse(TrainSpec, json.loads(sys.stdin.readline()), "stdin"), device)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    sys.stdout.write(f"{training.rate(seconds)}\n")


if __name__ == "__main__":
    main()
