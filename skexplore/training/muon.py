"""Muon for grouped convolutions: each update of a weight is made orthogonal, group by group.

Momentum orthogonalised by Newton and Schulz (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural
networks"). ``torch.optim.Muon`` takes matrices only; a convolution of G groups is G matrices of (out / G) x (in / G *
kernel^2), which are orthogonalised together in one batched product. All else (BatchNorm, linear layers, depthwise
convolutions) is trained by SGD in the same step.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

# of the quintic that drives all singular values towards 1 (Jordan et al. 2024); a few steps end near it, not at it
_A, _B, _C = 3.4445, -4.7750, 2.0315
STEPS = 4


def orthogonal(matrices: Tensor, steps: int = STEPS) -> Tensor:
    """Return ``matrices`` (groups x rows x columns) with singular values near 1 and the same singular vectors."""
    wide = matrices.shape[1] <= matrices.shape[2]
    x: Tensor = matrices if wide else matrices.transpose(1, 2)
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.transpose(1, 2)
        x = _A * x + (_B * gram + _C * gram @ gram) @ x
    return x if wide else x.transpose(1, 2)


class Muon(torch.optim.Optimizer):
    """Muon for the convolutions of a network, SGD with momentum for the rest; a group's ``lr`` is the step of both.

    lr: of Muon. sgd_lr: of the rest, kept in proportion when a schedule changes ``lr``. Weight decay is decoupled for
    convolutions (as in ``torch.optim.Muon``) and added to the gradient for the rest (as in ``torch.optim.SGD``), where
    BatchNorm and biases have none.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        lr: float,
        sgd_lr: float,
        momentum: float,
        weight_decay: float,
        nesterov: bool = True,
    ) -> None:
        convolutions = {
            id(module.weight): module.groups
            for module in network.modules()
            if isinstance(module, nn.Conv2d) and module.groups < module.out_channels
        }
        found = [each for each in network.parameters() if id(each) in convolutions]
        rest = [each for each in network.parameters() if id(each) not in convolutions]
        sgd = {"share": sgd_lr / lr, "splits": None}
        groups: list[dict[str, Any]] = [
            {"params": found, "share": 1.0, "splits": [convolutions[id(each)] for each in found]},
            {"params": [each for each in rest if each.ndim > 1], **sgd},
            {"params": [each for each in rest if each.ndim == 1], **sgd, "weight_decay": 0.0},
        ]
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "nesterov": nesterov}
        super().__init__([group for group in groups if group["params"]], defaults)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002 - torch's interface
        """Make one update from the gradients that are there."""
        for group in self.param_groups:
            rate = group["lr"] * group["share"]
            splits: Iterable[int | None] = group["splits"] or [None] * len(group["params"])
            for weight, parts in zip(group["params"], splits, strict=True):
                if weight.grad is None:
                    continue
                gradient = weight.grad
                if parts is None:
                    gradient = gradient.add(weight, alpha=group["weight_decay"])
                    weight.add_(self._moved(weight, gradient, group, 1.0), alpha=-rate)
                    continue
                # torch.optim.Muon averages gradients, SGD adds them up
                moved = self._moved(weight, gradient, group, 1 - group["momentum"])
                matrices = moved.reshape(parts, weight.shape[0] // parts, -1)
                rows, columns = matrices.shape[1:]
                scale = max(1.0, rows / columns) ** 0.5
                weight.mul_(1 - rate * group["weight_decay"])
                weight.add_(orthogonal(matrices).reshape(weight.shape), alpha=-rate * scale)

    def _moved(self, weight: Tensor, gradient: Tensor, group: dict[str, Any], share: float) -> Tensor:
        """Return the momentum with ``share`` of the gradient added, one step ahead if ``nesterov``."""
        state, momentum = self.state[weight], group["momentum"]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        buffer = state["momentum_buffer"].mul_(momentum).add_(gradient, alpha=share)
        if not group["nesterov"]:
            return buffer  # type: ignore[no-any-return]
        return gradient.mul(share).add_(buffer, alpha=momentum)
