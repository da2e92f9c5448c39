"""A first convolution that begins with the principal components of the images it will see.

Its random weights would have to learn them first; in a training of a few hundred updates that is a large part of it.
The idea is of fast CIFAR trainings (Page 2019, "How to train your ResNet", part 8).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

WHITENED = (
    500  # images that the components are taken from: patches are many, and these come first in every split
)
LEAST = 5e-4  # added to a variance before its root, so that directions of mere noise are not blown up


@torch.no_grad()
def whiten(layer: nn.Conv2d, images: Tensor) -> None:
    """Set the weights of ``layer`` to whitened principal components of its patches of ``images`` (n x c x h x w).

    Each comes as plus and as minus, the largest variance first; a ReLU behind then loses nothing. Channels beyond twice
    the components keep their weights, and so does the last of an odd number.
    """
    assert not isinstance(layer.padding, str)
    patches = F.unfold(images, layer.kernel_size, padding=layer.padding, stride=layer.stride)
    rows = patches.transpose(1, 2).flatten(0, 1).double()
    rows -= rows.mean(0)
    variances, vectors = torch.linalg.eigh(rows.T @ rows / len(rows))
    order = variances.argsort(descending=True)
    filters = (vectors / (variances.clamp(min=0) + LEAST).sqrt()).T[order]
    count = min(len(filters), layer.out_channels // 2)
    both = torch.cat((filters[:count], -filters[:count])).reshape(2 * count, *layer.weight.shape[1:])
    layer.weight[: 2 * count] = both.to(layer.weight.dtype)
