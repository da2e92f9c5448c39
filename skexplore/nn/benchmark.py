"""Two promises measured: an SK convolution without wasted maps, and an exact cost in microseconds.

What is compared is timed in turns, one after another in one process, and reported as the median of the ratios
of the turns: other load on the machine then falls on all alike.
"""

from __future__ import annotations

import platform
import random
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from skexplore.arch import REFERENCE, Blocks, Branch, SKBlock, cost, format_blocks, get_backbone
from skexplore.errors import UserError
from skexplore.nn.fast import speed_up
from skexplore.nn.flop_count import count
from skexplore.nn.layers import SKConv
from skexplore.nn.network import build

K = TypeVar("K")
SHAPES = ((16, 128, 56, 56), (128, 64, 32, 32), (16, 512, 14, 14))  # of input and output maps
QUICK_SHAPES = ((2, 64, 8, 8),)
BLOCK = SKBlock(
    branches=(Branch(kernel=3), Branch(kernel=3, dilation=2))
)  # the paper's, as timm spells [3, 5]
LAYOUTS = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}
MODES = ("inference", "training")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One shape, mode and layout. Milliseconds are medians; ratios are medians over the turns.

    times_timm: how many times faster than timm. times_bare: time over that of the bare branches (1 is the bound).
    """

    shape: tuple[int, ...]
    mode: str
    layout: str
    own_ms: float
    timm_ms: float
    bare_ms: float
    times_timm: float
    times_bare: float


def environment() -> dict[str, object]:
    """Return what a measured number depends on: versions, processor and threads."""
    return {
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}",
        "threads": torch.get_num_threads(),
    }


def use_threads(threads: int) -> None:
    """Let torch use this many threads; one is the steadiest on a machine that others use too."""
    torch.set_num_threads(threads)


def time_sk(*, turns: int, quick: bool = False) -> Iterator[Timing]:
    """Time the SK convolution, timm's and the bare branches on the CPU; yields one ``Timing`` after another.

    ``turns`` are those of training; inference, which is short, has three times as many.

    timm's ``SelectiveKernel(split_input=False)`` has the same branches, groups, d and weights, and gives the same
    output. The bare branches are this convolution's own (convolution, BatchNorm, ReLU), run as it runs them,
    with nothing made of their outputs: what fuse and select cost is what exceeds them. Training is a forward
    pass and the gradients of all parameters and of the input, from a given gradient of the output (bare: of
    each branch's output). Raises ``UserError`` if timm is not installed.
    """
    for shape in QUICK_SHAPES if quick else SHAPES:
        own, other = _pair(shape[1])
        for mode in MODES:
            for layout in LAYOUTS:
                yield _time_one(own, other, shape, mode, layout, turns if mode == "training" else 3 * turns)


def geometric_means(timings: list[Timing]) -> dict[str, dict[str, float]]:
    """Return the geometric means of both ratios: ``{mode: ...}``, and ``{"mode layout": ...}`` for each layout."""
    groups = {mode: [each for each in timings if each.mode == mode] for mode in MODES}
    for mode in MODES:
        for layout in LAYOUTS:
            groups[f"{mode} {layout}"] = [each for each in groups[mode] if each.layout == layout]
    return {
        name: {
            "times_timm": statistics.geometric_mean(each.times_timm for each in members),
            "times_bare": statistics.geometric_mean(each.times_bare for each in members),
        }
        for name, members in groups.items()
        if members
    }


def _pair(width: int) -> tuple[SKConv, nn.Module]:
    """Return the SK convolution and timm's with the same weights."""
    try:
        from timm.layers import SelectiveKernel
    except ImportError:
        raise UserError(
            'timm is not installed, and it is what is measured against; pip install "skexplore[bench]"'
        ) from None
    own = speed_up(SKConv(width, BLOCK))
    other: nn.Module = SelectiveKernel(
        width, kernel_size=[3, 5], groups=32, rd_channels=BLOCK.dim(width), keep_3x3=True, split_input=False
    )
    names = {"fc.0": "attn.fc_reduce", "fc.1": "attn.bn", "attend": "attn.fc_select"}
    for number in range(len(BLOCK.branches)):
        names |= {
            f"branches.{number}.0": f"paths.{number}.conv",
            f"branches.{number}.1": f"paths.{number}.bn",
        }
    target, state = other.state_dict(), {}
    for name, tensor in own.state_dict().items():
        prefix, leaf = name.rsplit(".", 1)
        state[f"{names[prefix]}.{leaf}"] = tensor.reshape(target[f"{names[prefix]}.{leaf}"].shape)
    other.load_state_dict(state)
    return own, other


def _time_one(
    own: SKConv, other: nn.Module, shape: tuple[int, ...], mode: str, layout: str, turns: int
) -> Timing:
    generator = torch.Generator().manual_seed(0)
    training, form = mode == "training", LAYOUTS[layout]
    x, gradient = (torch.randn(shape, generator=generator).to(memory_format=form) for _ in range(2))
    for module in (own, other):
        module.to(memory_format=form).train(training)
    torch.testing.assert_close(own(x), other(x), rtol=1e-3, atol=1e-3)  # one computation, or no comparison

    def bare(images: Tensor) -> tuple[Tensor, ...]:
        return tuple(branch(images) for branch in own.branches)

    runs = {
        "own": _run(own, own, x, gradient, training),
        "timm": _run(other, other, x, gradient, training),
        "bare": _run(bare, own.branches, x, gradient, training),
    }
    seconds = in_turns(runs, turns)
    return Timing(
        shape=shape,
        mode=mode,
        layout=layout,
        own_ms=1000 * statistics.median(seconds["own"]),
        timm_ms=1000 * statistics.median(seconds["timm"]),
        bare_ms=1000 * statistics.median(seconds["bare"]),
        times_timm=median_ratio(seconds["timm"], seconds["own"]),
        times_bare=median_ratio(seconds["own"], seconds["bare"]),
    )


def _run(
    call: Callable[[Tensor], Tensor | tuple[Tensor, ...]],
    module: nn.Module,
    x: Tensor,
    gradient: Tensor,
    training: bool,
) -> Callable[[], None]:
    images = x.detach().requires_grad_(training)
    wanted = [images, *module.parameters()]

    def run() -> None:
        with torch.set_grad_enabled(training):
            outputs = call(images)
        if training:
            outputs = (outputs,) if isinstance(outputs, Tensor) else outputs
            torch.autograd.grad(outputs, wanted, [gradient] * len(outputs))

    return run


def in_turns(runs: dict[K, Callable[[], None]], turns: int) -> dict[K, list[float]]:
    """Run all once to warm up, then ``turns`` times in turns; return the seconds of each."""
    seconds: dict[K, list[float]] = {name: [] for name in runs}
    for turn in range(turns + 1):
        for name, run in runs.items():
            started = time.perf_counter()
            run()
            if turn:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def median_ratio(above: list[float], below: list[float]) -> float:
    """Return the median of the ratios of what was measured turn by turn."""
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class CostTiming:
    """What the exact cost of a block takes, and what fvcore takes to count the same on the built network.

    kind: ``tied`` or ``per stage``. Microseconds are of one block, medians over rounds; notation_us includes
    reading the block notation. times_fvcore: how many times faster than counting, without the time to build.
    """

    kind: str
    blocks: int
    cost_us: float
    notation_us: float
    counts: int
    fvcore_ms: float
    times_fvcore: float


def time_cost(*, quick: bool = False) -> Iterator[CostTiming]:
    """Time ``cost`` on random blocks of the reference (SKNet-50 at 224x224), none of them seen twice.

    ``quick`` does a little of it, on SKNet-26.
    """
    rounds, size, counts = (3, 20, 1) if quick else (25, 400, 3)
    body = get_backbone("sknet26") if quick else REFERENCE
    for kind in ("tied", "per stage"):
        generator = random.Random(kind)
        seconds: dict[str, list[float]] = {"objects": [], "notation": []}
        for _ in range(rounds):
            architectures = [_random_blocks(generator, kind == "per stage") for _ in range(size)]
            seconds["objects"].append(
                _seconds(lambda given: [cost(each, body) for each in given], architectures)
            )
            texts = [format_blocks(_random_blocks(generator, kind == "per stage")) for _ in range(size)]
            seconds["notation"].append(_seconds(lambda given: [cost(each, body) for each in given], texts))
        networks = [build(_random_blocks(generator, kind == "per stage"), body) for _ in range(counts)]
        counted = statistics.median(
            _seconds(lambda each: count(each, body.resolution), network) for network in networks
        )
        own = statistics.median(seconds["objects"]) / size
        yield CostTiming(
            kind=kind,
            blocks=rounds * size,
            cost_us=1e6 * own,
            notation_us=1e6 * statistics.median(seconds["notation"]) / size,
            counts=counts,
            fvcore_ms=1000 * counted,
            times_fvcore=counted / own,
        )


def _seconds(call: Callable[[Any], object], given: Any) -> float:
    started = time.perf_counter()
    call(given)
    return time.perf_counter() - started


def _random_blocks(generator: random.Random, per_stage: bool) -> Blocks:
    return tuple(_random_block(generator) for _ in range(4 if per_stage else 1))


def _random_block(generator: random.Random) -> SKBlock:
    """Return a block of one to five branches that the reference can hold."""
    branches = tuple(
        Branch(
            kernel=generator.choice((1, 3, 5, 7)),
            dilation=generator.randint(1, 4),
            groups=generator.choice((4, 8, 16, 32, 64, 128)),
        )
        for _ in range(generator.randint(1, 5))
    )
    return SKBlock(
        branches=branches,
        reduction=generator.randint(1, 64),
        min_dim=generator.choice((1, 8, 16, 32, 64)),
        fuse=generator.choice(("select", "select", "sum")),
    )
