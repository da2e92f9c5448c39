"""Which images are trained on and which are held out: a fixed split, stratified by class.

Plain NumPy whose streams never change: the same images give the same split on every machine.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from skexplore.errors import UserError

VAL_SHARE = 10  # one train image in so many is for validation
SPLIT_SEED = 20_19  # fixed: every run and every seed compares on the same validation images


def split_indices(
    labels: NDArray[np.generic], *, train_images: int, val_images: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the indices of the train and the validation images, stratified by ``labels`` (N,).

    A tenth of the N images is for validation alone; more of them are taken from the far end of those to train on, as
    far as these are not trained on. Smaller counts are prefixes of larger ones, and class counts differ by at most 1.
    Independent of the run's seed. Raises ``UserError`` for a count out of range.
    """
    pool = len(labels) // VAL_SHARE
    for name, count, most in (
        ("train_images", train_images, len(labels) - pool),
        ("val_images", val_images, len(labels) - train_images),
    ):
        if not 1 <= count <= most:
            left = f" with {train_images} train_images" if name == "val_images" else ""
            raise UserError(f"{name} {count}: must be between 1 and {most}{left}")
    order = stratified(labels)
    rest = order[pool:]
    train = rest[stratified(labels[rest])]
    return train[:train_images], np.concatenate((order[:pool], train[::-1]))[:val_images]


def stratified(labels: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return a shuffled order of ``labels`` of which every beginning has each class in its share of all."""
    # Raw PCG64 output: NumPy promises that this stream never changes, but not that of permutation().
    keys = np.random.PCG64(SPLIT_SEED).random_raw(len(labels))
    shares = np.empty(len(labels))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        shares[members[np.argsort(keys[members])]] = (np.arange(len(members)) + 0.5) / len(members)
    return np.lexsort((keys, shares)).astype(np.int64)


def held_out(labels: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return the indices, rising, of one image in ``VAL_SHARE`` of each class, and of one at least."""
    order = stratified(labels)
    found = []
    for label in np.unique(labels):
        members = order[labels[order] == label]
        found.append(members[: max(1, len(members) // VAL_SHARE)])
    return np.sort(np.concatenate(found))
