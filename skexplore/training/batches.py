"""The train/validation split of the train part, and batches of it: augmented and normalised on the device.

Images are uint8 (n, c, h, w) with pixels 0..255 until a batch is made: float32, mean 0 and deviation 1 per channel.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64, UInt8
from numpy.typing import NDArray
from torch import Tensor

from skexplore.data import CIFAR, Content, load_part, split_indices, stratified

Arrays = tuple[NDArray[np.uint8], NDArray[np.unsignedinteger]]  # images and labels of a part


def load_split(
    folder: Path,
    *,
    train_images: int,
    val_images: int,
    device: torch.device | str,
    own_val: bool = False,
) -> tuple[UInt8[Tensor, "t c h w"], Int64[Tensor, " t"], UInt8[Tensor, "v c h w"], Int64[Tensor, " v"]]:
    """Return train images, train labels, validation images and validation labels on ``device``.

    own_val: whether the images have a validation part of their own; else the split takes some of the train part.
    Never opens the test part of ``folder`` (see ``load_part``). Raises ``UserError`` as ``split_indices``.
    """
    train_part = load_part(folder, "train")
    val_part = load_part(folder, "val") if own_val else train_part
    labels = np.asarray(train_part[1])
    if own_val:
        train, val = stratified(labels)[:train_images], stratified(np.asarray(val_part[1]))[:val_images]
    else:
        train, val = split_indices(labels, train_images=train_images, val_images=val_images)

    def take(part: Arrays, chosen: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        images, own = part
        pixels = torch.from_numpy(np.asarray(images[chosen]))
        return pixels.to(device), torch.from_numpy(own[chosen].astype(np.int64)).to(device)

    return *take(train_part, train), *take(val_part, val)


def load_test(
    folder: Path, device: torch.device | str
) -> tuple[UInt8[Tensor, "n c h w"], Int64[Tensor, " n"]]:
    """Return all test images and labels on ``device``: for finalists that are chosen already, and nothing else."""
    images, labels = load_part(folder, "test")
    pixels = torch.from_numpy(np.array(images))
    return pixels.to(device), torch.from_numpy(labels.astype(np.int64)).to(device)


def train_batches(
    images: UInt8[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"],
    *,
    batch_size: int,
    seed: int,
    epoch: int,
    augment: bool,
    crop: bool = True,
    content: Content = CIFAR,
) -> Iterator[tuple[Float[Tensor, "b c h w"], Int64[Tensor, " b"]]]:
    """Yield the shuffled images once as normalised float32 batches (channels_last) with their labels.

    Order and augmentation depend on ``(seed, epoch)`` alone, whatever the device and the batch size.
    ``augment`` crops each image at random after reflect padding by an eighth of its side, 4 pixels of 32, (unless
    ``crop`` is false) and flips half of them. content: the data set's, whose mean and deviation normalise.
    A last batch of a single image is left out: batch normalisation needs two.
    """
    key = int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0])
    random = torch.Generator().manual_seed(key)  # on the CPU, so that every device sees the same order
    count, pad = len(images), images.shape[-1] // 8
    order = torch.randperm(count, generator=random).to(images.device)
    corners = torch.randint(2 * pad + 1, (count, 2), generator=random).to(images.device)
    flips = torch.randint(2, (count,), generator=random).bool().to(images.device) & content.mirrored
    for start in range(0, count, batch_size):
        part = slice(start, start + batch_size)
        chosen = order[part]
        if len(chosen) == 1 < batch_size:
            return
        taken = images[chosen]
        if augment and crop:
            taken = _augment(taken, corners[part], flips[part], pad)
        elif augment:
            taken = torch.where(flips[part][:, None, None, None], taken.flip(3), taken)
        yield normalise(taken, content), labels[chosen]


def eval_batches(
    images: UInt8[Tensor, "n c h w"],
    labels: Int64[Tensor, " n"],
    *,
    batch_size: int,
    content: Content = CIFAR,
) -> Iterator[tuple[Float[Tensor, "b c h w"], Int64[Tensor, " b"]]]:
    """Yield all images in order as normalised float32 batches (channels_last) with their labels."""
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        yield normalise(images[part], content), labels[part]


def normalise(images: UInt8[Tensor, "n c h w"], content: Content = CIFAR) -> Float[Tensor, "n c h w"]:
    """Return uint8 images as float32, channels_last, with the data set's mean 0 and deviation 1 per channel."""
    mean = torch.tensor(content.mean, device=images.device).mul(255).view(1, -1, 1, 1)
    scale = torch.tensor(content.std, device=images.device).mul(255).reciprocal().view(1, -1, 1, 1)
    # Twice as fast as converting to channels_last first: there the broadcast is not vectorised.
    return images.float().sub_(mean).mul_(scale).contiguous(memory_format=torch.channels_last)


def _augment(
    images: UInt8[Tensor, "b c h w"], corners: Int64[Tensor, "b 2"], flips: Bool[Tensor, " b"], pad: int
) -> UInt8[Tensor, "b c h w"]:
    """Crop each image at its corner (0..2 pad) of the reflect-padded image, and mirror it where flagged."""
    height, width = images.shape[2:]
    across = torch.arange(width, device=images.device)
    down = torch.arange(height, device=images.device)
    columns = torch.where(flips[:, None], width - 1 - across, across)
    columns = _reflect(columns + corners[:, 1:] - pad, width)
    rows = _reflect(down + corners[:, :1] - pad, height)
    pixels = (rows[:, :, None] * width + columns[:, None, :]).view(len(images), 1, -1)
    # One gather over flat pixels: the fastest of five ways measured on a CPU, and the padding is never made.
    return images.flatten(2).gather(2, pixels.expand(-1, images.shape[1], -1)).view_as(images)


def _reflect(index: Tensor, size: int) -> Tensor:
    """Map positions outside 0..size-1 back inside, as reflect padding does (the edge is not repeated)."""
    return size - 1 - (size - 1 - index.abs()).abs()
