"""The SK convolution as a plain module (paper, section 3.1)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skexplore.arch import Branch, SKBlock, block_of_width
from skexplore.errors import UserError, check_one_of
from skexplore.nn.fast import ConvBN, Fuse, MapIn, MapOut, Select, traced, watched


def conv_bn(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, dilation: int = 1, groups: int = 1
) -> ConvBN:
    """Return a bias-free, 'same'-padded convolution and its BatchNorm."""
    padding = dilation * (kernel - 1) // 2
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False)
    return ConvBN(convolution, nn.BatchNorm2d(outputs))


ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "relu6": nn.ReLU6}


def activated(layers: ConvBN, name: str) -> ConvBN:
    """Return ``layers`` with the activation of this name behind them; none for ``linear``."""
    return layers if name == "linear" else layers.append(ACTIVATIONS[name](inplace=True))


class SKConv(nn.Module):
    """Selective Kernel convolution: split, fuse, select (Eqs. 1-6).

    ``width`` channels out, and in unless ``inputs`` says otherwise; ``block`` is at this width's own scale: groups and
    floor count as they are written, in notation such as ``k3+k3d2`` too. Raises ``UserError`` for groups that do not
    divide the channels. With one branch it is a plain convolution, BatchNorm and ReLU; with ``fuse="sum"`` the
    branches are added. Without ``fuse_norm`` the BatchNorm of Eq. 3 is left out, and nothing put in its place. With
    ``split_input`` each branch reads an equal part of the channels. ``activation`` (``relu``, ``relu6`` or ``linear``
    for none) ends every branch that does not name its own.
    """

    def __init__(
        self,
        width: int,
        block: SKBlock | str,
        *,
        stride: int = 1,
        fuse_norm: bool = True,
        inputs: int | None = None,
        split_input: bool = False,
        activation: str = "relu",
    ) -> None:
        super().__init__()
        read = width if inputs is None else inputs
        block = block_of_width(block, width, inputs=read, split_input=split_input)
        check_one_of("activation", activation, (*ACTIVATIONS, "linear"))
        if not isinstance(stride, int) or stride < 1:
            raise UserError(f"stride {stride!r}: must be a whole number from 1 on")
        self.share = read // len(block.branches) if split_input else None  # channels of each branch
        self.branches = nn.ModuleList(
            _branch(self.share or read, width, branch, stride, activation) for branch in block.branches
        )
        self.selects = block.selects
        if self.selects:
            dim = block.dim(width)
            norm = nn.BatchNorm1d(dim) if fuse_norm else nn.Identity()
            self.fc = nn.Sequential(nn.Linear(width, dim, bias=False), norm, nn.ReLU(inplace=True))
            self.attend = nn.Linear(dim, len(block.branches) * width, bias=False)

    def forward(self, x: MapIn) -> MapOut:
        """Return V of Eq. 6, of the branches' output size.

        In training a batch of one image raises ``ValueError`` where the fuse step normalises over the batch.
        """
        if self.share is None:
            maps = [branch(x) for branch in self.branches]
        else:
            starts = range(0, self.share * len(self.branches), self.share)
            maps = [
                branch(x[:, start : start + self.share])
                for start, branch in zip(starts, self.branches, strict=True)
            ]
        if not self.selects:
            return _add(maps)
        if traced(x) or not torch.is_grad_enabled():
            # the mean of U is the sum of the branches' means: U itself is never built
            weights = self.attention(_add([each.mean((2, 3)) for each in maps]))
            return _select(maps, weights, over_first=not (traced(x) or watched(self.branches[0])))
        squeezed, *maps = Fuse.apply(*maps)
        selected: Tensor = Select.apply(self.attention(squeezed), *maps)
        return selected

    def attention(
        self, squeezed: Float[Tensor, "batch channels"]
    ) -> Float[Tensor, "batch branches channels"]:
        """Return the softmax weights of the branches, which sum to 1 for every image and channel (Eqs. 3-5).

        ``squeezed`` is the mean of U over pixels (Eq. 2).
        """
        norm = self.fc[1]
        if isinstance(norm, nn.BatchNorm1d) and norm.training and squeezed.shape[0] == 1:
            raise ValueError(
                "one image in training: the BatchNorm of the fuse step needs at least 2; use a larger batch or eval()"
            )
        logits = self.attend(self.fc(squeezed)).unflatten(1, (len(self.branches), -1))
        weights: Tensor = logits.softmax(dim=1)
        return weights


def _select(maps: list[Tensor], weights: Tensor, *, over_first: bool) -> Tensor:
    """Return V of Eq. 6 by plain operators; ``over_first``: written over the first map, which is then lost."""
    scales = [weights[:, number, :, None, None] for number in range(len(maps))]
    if not over_first:
        total = maps[0] * scales[0]
        for each, scale in zip(maps[1:], scales[1:], strict=True):
            total = torch.addcmul(total, each, scale)
        return total
    total = maps[0].mul_(scales[0])
    for each, scale in zip(maps[1:], scales[1:], strict=True):
        total.addcmul_(each, scale)
    return total


def _branch(inputs: int, width: int, branch: Branch, stride: int, activation: str) -> ConvBN:
    convolution = conv_bn(
        inputs, width, branch.kernel, stride=stride, dilation=branch.dilation, groups=branch.groups
    )
    return activated(convolution, branch.act or activation)


def _add(tensors: list[Tensor]) -> Tensor:
    total = tensors[0]
    for tensor in tensors[1:]:
        total = total + tensor
    return total


@contextmanager
def record_attention(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Record the attention of every SK convolution of ``model`` while the context is open.

    Yields a dict that holds, after a forward pass, the weights (batch, M, channels) by module name; they sum
    to 1 over M. Convolutions without selection are absent.
    """
    found: dict[str, Tensor] = {}
    handles = []
    for name, module in model.named_modules():
        if isinstance(module, SKConv) and module.selects:
            handles.append(module.attend.register_forward_hook(_keep(found, name, len(module.branches))))
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _keep(found: dict[str, Tensor], name: str, branches: int) -> Any:
    def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        found[name] = output.detach().unflatten(1, (branches, -1)).softmax(dim=1)  # type: ignore[no-untyped-call]

    return hook
