"""Several processes as one training: gradients averaged, and BatchNorm's statistics those of the whole batch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from skexplore.errors import UserError

WRONG = 2  # exit status of a user's mistake
PATIENCE = timedelta(days=1)  # the first process may describe millions of images while the others wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a process stands among those of a training: its number, how many there are, and its device."""

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether it is the one that writes and prints."""
        return self.rank == 0


def join(device: str | None) -> Place:
    """Return this process's place: alone, or as ``torchrun`` started it (gloo on CPUs, NCCL on GPUs).

    Raises ``UserError`` where there are fewer GPUs than processes.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    rank, local = int(os.environ.get("RANK", "0")), int(os.environ.get("LOCAL_RANK", "0"))
    kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
    own = torch.device(kind)
    if kind == "cuda":
        if local >= torch.cuda.device_count():
            raise UserError(
                f"process {local + 1} has no GPU of its own: this machine has {torch.cuda.device_count()}; give "
                "torchrun --nproc-per-node as many, or --device cpu"
            )
        own = torch.device(f"cuda:{local}")
        torch.cuda.set_device(own)
    if world > 1:
        on_gpu = own.type == "cuda"
        # objects, such as what went wrong, go over gloo in either case
        kinds = "cpu:gloo,cuda:nccl" if on_gpu else "gloo"
        dist.init_process_group(kinds, timeout=PATIENCE, device_id=own if on_gpu else None)
    return Place(rank=rank, world=world, device=own)


def spread(network: nn.Module, place: Place) -> nn.Module:
    """Return ``network`` as one of the copies that are trained together; itself where there is one process."""
    if place.world == 1:
        return network
    if place.device.type == "cuda":
        network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return DistributedDataParallel(network, device_ids=[place.device.index])
    _sync_norms(network)
    return DistributedDataParallel(network)


class _Sum(torch.autograd.Function):
    """The sum over all processes, and of its gradients."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total


class _SyncBatchNorm(nn.modules.batchnorm._BatchNorm):
    """BatchNorm over the batches of all processes on CPUs, which torch offers for GPUs alone.

    Every process must have as many elements a channel as the others.
    """

    def _check_input_dim(self, input: Tensor) -> None:
        pass

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        others = [axis for axis in range(input.dim()) if axis != 1]
        count = input.numel() // input.shape[1] * dist.get_world_size()
        shape = [1, -1, *[1] * (input.dim() - 2)]
        # sums as exact as those of torch's own BatchNorm on a CPU
        mean = (_Sum.apply(input.sum(others, dtype=torch.float64)) / count).to(input.dtype)
        centred = input - mean.view(shape)
        variance = (_Sum.apply(centred.square().sum(others, dtype=torch.float64)) / count).to(input.dtype)
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            self.running_mean.lerp_(mean, self.momentum or 0.1)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum or 0.1)
            assert self.num_batches_tracked is not None
            self.num_batches_tracked += 1
        scaled = centred * (variance + self.eps).rsqrt().view(shape)
        shifted: Tensor = scaled * self.weight.view(shape) + self.bias.view(shape)
        return shifted


def _sync_norms(network: nn.Module) -> None:
    """Turn every BatchNorm of ``network`` into one over all processes, in place: names and weights stay."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.__class__ = _SyncBatchNorm  # type: ignore[assignment]


def sum_over_all(values: Tensor, place: Place) -> Tensor:
    """Return the sum of ``values`` over all processes."""
    if place.world > 1:
        dist.all_reduce(values)
    return values


@contextmanager
def first_alone(place: Place) -> Iterator[None]:
    """Let the first process do what is within before the others do: it fills caches and writes files for them.

    Where it fails there, the others end without a word: the first has said why.
    """
    said: list[bool | None] = [None]
    if place.world > 1 and not place.first:
        dist.broadcast_object_list(said, src=0, device=torch.device("cpu"))
        if not said[0]:
            raise SystemExit(WRONG)
    try:
        yield
        said = [True]
    finally:
        if place.world > 1 and place.first:
            dist.broadcast_object_list(said, src=0, device=torch.device("cpu"))


def leave(place: Place) -> None:
    """End what ``join`` began."""
    if place.world > 1:
        dist.destroy_process_group()
