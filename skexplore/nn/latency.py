"""How long a network takes on this machine: measured, never computed."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from skexplore.arch import Architecture, Resolution, whole_size
from skexplore.errors import UserError, check_one_of
from skexplore.nn.device import cpu_model, gpu_model
from skexplore.nn.network import build

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
DEVICES = ("cpu", "cuda", "mps")
WARM_UP = 3  # runs that are not counted: a library chooses its ways in the first


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
    body = architecture.backbone
    size = whole_size(body.resolution if resolution is None else resolution)
    how = {"device": where, "dtype": DTYPES[dtype], "memory_format": torch.channels_last}
    try:
        network = build(architecture).eval().to(**how)  # type: ignore[call-overload]
        images = torch.randn(batch, body.in_channels, *size).to(**how)  # type: ignore[call-overload]
        took = _timed(network, images, where, seconds)
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
        device=gpu_model(device) if where.type == "cuda" else cpu_model() if where.type == "cpu" else device,
        threads=torch.get_num_threads(),
    )


def _timed(network: nn.Module, images: Tensor, device: torch.device, seconds: float) -> list[float]:
    """Return the milliseconds of each run, those that warm up included."""
    took: list[float] = []
    begun = time.monotonic()
    with torch.inference_mode():
        while len(took) < WARM_UP + 5 or time.monotonic() - begun < seconds:
            _wait(device)
            started = time.perf_counter()
            network(images)
            _wait(device)
            took.append(1000 * (time.perf_counter() - started))
    return took


def _device(name: str) -> torch.device:
    check_one_of("--device", name.partition(":")[0], DEVICES)
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, ImportError) as error:  # torch without a GPU asserts
        first = str(error).split(".")[0].splitlines()[0]
        raise UserError(
            f"--device {name!r}: torch cannot use it here ({first}); cpu is always there"
        ) from None
    return device


def _wait(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
