"""How long a network takes on this machine: measured, never computed."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from skexplore.arch import Architecture, Resolution, whole_size
from skexplore.errors import UserError, check_one_of
from skexplore.nn.benchmark import use_threads
from skexplore.nn.device import cpu_model, gpu_model
from skexplore.nn.network import build

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
DEVICES = ("cpu", "cuda", "mps")
WARM_UP = 3  # runs that are not counted: a library chooses its ways in the first
LEAST_TURNS, TURN_SECONDS = 5, 4.0  # by turns with a known network: runs at least, and for about how long


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """Milliseconds of one batch in evaluation mode: the median of ``runs``, and the quartiles around it.

    device: the processor or GPU; threads: of torch, on a CPU.
    """

    median_ms: float
    low_ms: float
    high_ms: float
    runs: int
    batch: int
    dtype: str
    device: str
    threads: int


def measure_latency(
    architecture: Architecture,
    *,
    resolution: Resolution | None = None,
    batch: int = 1,
    dtype: str = "float32",
    device: str = "cpu",
    seconds: float = 3.0,
) -> Latency:
    """Run the network of ``architecture`` on random images for about ``seconds`` and return what one batch takes.

    Layers are plain torch, in the layout channels_last: what an exported block runs. Raises ``UserError`` for a device
    that is not there or has too little memory, and a type of numbers that is not of ``DTYPES``.
    """
    check_one_of("--dtype", dtype, DTYPES)
    where = _device(device)
    try:
        run = _runs(architecture, resolution, batch, DTYPES[dtype], where)
        took, begun = list[float](), time.monotonic()
        while len(took) < WARM_UP + 5 or time.monotonic() - begun < seconds:
            took.append(run())
    except torch.OutOfMemoryError:
        raise UserError(
            f"--device {device}: {batch} images at a time do not fit its memory; lower --batch or --resolution"
        ) from None
    low, median, high = statistics.quantiles(took[WARM_UP:], n=4)
    return Latency(
        median_ms=median,
        low_ms=low,
        high_ms=high,
        runs=len(took) - WARM_UP,
        batch=batch,
        dtype=dtype,
        device=_model(where),
        threads=torch.get_num_threads(),
    )


class LatencyMeter:
    """Measures networks beside other work, such as trainings: by turns with a known one, which that slows alike.

    On one thread of a CPU the time that counts is the thread's own, without what it waits for others. Raises
    ``UserError`` as ``measure_latency`` does.
    """

    def __init__(
        self, known: Architecture, *, device: str, batch: int, dtype: str, threads: int | None
    ) -> None:
        check_one_of("--latency-dtype", dtype, DTYPES)
        self._device = _device(device, "--latency-device")
        self._batch, self._dtype, self._threads = batch, dtype, threads
        own_time = self._device.type == "cpu" and threads == 1
        self._clock = time.thread_time if own_time else time.perf_counter
        with self._guarded():
            self._known = self._network(known)

    @property
    def machine(self) -> str:
        """The model of the processor or GPU."""
        return _model(self._device)

    def known_ms(self) -> float:
        """Return what a batch of the known network takes, in milliseconds: the median of several runs."""
        took, begun = list[float](), time.monotonic()
        with self._guarded():
            while len(took) < LEAST_TURNS or time.monotonic() - begun < TURN_SECONDS:
                took.append(self._known())
        return statistics.median(took)

    def times_known(self, architecture: Architecture) -> float:
        """Return how many times as long as the known network that of ``architecture`` takes."""
        with self._guarded():
            own = self._network(architecture)
            ratios, before, begun = list[float](), self._known(), time.monotonic()
            while len(ratios) < LEAST_TURNS or time.monotonic() - begun < TURN_SECONDS:
                took, after = own(), self._known()
                ratios.append(2 * took / (before + after))
                before = after
        return statistics.median(ratios)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Let torch use the meter's threads as long as the context is open; ``UserError`` where memory is too small."""
        before = torch.get_num_threads()
        use_threads(self._threads or before)
        try:
            yield
        except torch.OutOfMemoryError:
            raise UserError(
                f"--latency-device {self._device}: {self._batch} images at a time do not fit what is left of its "
                "memory; lower --latency-batch"
            ) from None
        finally:
            use_threads(before)

    def _network(self, architecture: Architecture) -> Callable[[], float]:
        """Return what runs a batch and returns its milliseconds, warmed up."""
        run = _runs(architecture, None, self._batch, DTYPES[self._dtype], self._device, self._clock)
        for _ in range(WARM_UP):
            run()
        return run


def _runs(
    architecture: Architecture,
    resolution: Resolution | None,
    batch: int,
    dtype: torch.dtype,
    device: torch.device,
    clock: Callable[[], float] = time.perf_counter,
) -> Callable[[], float]:
    """Return what runs a batch of random images and returns its milliseconds."""
    body = architecture.backbone
    size = whole_size(body.resolution if resolution is None else resolution)
    how = {"device": device, "dtype": dtype, "memory_format": torch.channels_last}
    network: nn.Module = build(architecture).eval().to(**how)  # type: ignore[call-overload]
    images: Tensor = torch.randn(batch, body.in_channels, *size).to(**how)  # type: ignore[call-overload]

    def run() -> float:
        with torch.inference_mode():
            _wait(device)
            started = clock()
            network(images)
            _wait(device)
            return 1000 * (clock() - started)

    return run


def _model(device: torch.device) -> str:
    """Return the model of a processor or GPU; of others the name."""
    if device.type == "cuda":
        return gpu_model(str(device))
    return cpu_model() if device.type == "cpu" else str(device)


def _device(name: str, option: str = "--device") -> torch.device:
    check_one_of(option, name.partition(":")[0], DEVICES)
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, ImportError) as error:  # torch without a GPU asserts
        first = str(error).split(".")[0].splitlines()[0]
        raise UserError(
            f"{option} {name!r}: torch cannot use it here ({first}); cpu is always there"
        ) from None
    return device


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
