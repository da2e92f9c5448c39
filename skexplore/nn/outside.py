"""Networks of other packages, counted by torch's own counter: the one door to torchvision's and timm's models."""

from __future__ import annotations

import pkgutil
import warnings

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from skexplore.arch import Cost
from skexplore.errors import UserError
from skexplore.paper import Outside


def count_outside(network: Outside) -> Cost:
    """Return params, BatchNorm statistics and macs of a network of another package, for one image.

    It is built without memory for its weights (on torch's ``meta`` device), and counted by ``FlopCounterMode``, for
    which a multiply-add of a convolution or a linear layer is two. Raises ``UserError`` without the package.
    """
    try:
        make = pkgutil.resolve_name(network.maker)
    except ImportError as error:
        raise UserError(
            f'{network.title} needs {error.name}, which is not installed: pip install "skexplore[bench]"'
        ) from None
    with warnings.catch_warnings(), torch.device("meta"), torch.no_grad():
        warnings.simplefilter("ignore")  # of initialisations that would be slow
        model: nn.Module = make(**network.arguments).eval()
        with FlopCounterMode(display=False) as counter:
            model(torch.zeros(1, 3, network.resolution, network.resolution))
    statistics = [b for name, b in model.named_buffers() if name.endswith(("running_mean", "running_var"))]
    return Cost(
        params=sum(p.numel() for p in model.parameters()),
        bn_stats=sum(b.numel() for b in statistics),
        macs=counter.get_total_flops() // 2,
    )
