"""Weights from timm and back: one network under two sets of names (timm itself is not needed)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from skexplore.arch import Architecture, net_id
from skexplore.errors import UserError, lookup
from skexplore.nn.network import Network, build
from skexplore.nn.units import Unit


@dataclass(frozen=True, slots=True)
class TimmNetwork:
    """A network that timm has: the block and the backbone that it is here, and its attention module if any."""

    block: str
    backbone: str
    gate: str = ""


TOLERANCE = 1e-3  # of the largest logit, between two ways to add up float32
TIMM: dict[str, TimmNetwork] = {
    "resnet18": TimmNetwork("k3", "resnet18"),
    "resnet34": TimmNetwork("k3", "resnet34"),
    "resnet50": TimmNetwork("k3", "resnet50"),
    "resnet50d": TimmNetwork("k3", "resnet50d"),
    "resnet101": TimmNetwork("k3", "resnet101"),
    "resnet152": TimmNetwork("k3", "resnet152"),
    "resnext50_32x4d": TimmNetwork("k3", "resnext50"),
    "resnext101_32x4d": TimmNetwork("k3", "resnext101"),
    "seresnet50": TimmNetwork("k3", "resnet50", "se"),
    "seresnet101": TimmNetwork("k3", "resnet101", "se"),
    "seresnet152": TimmNetwork("k3", "resnet152", "se"),
    "seresnext50_32x4d": TimmNetwork("k3", "resnext50", "se"),
    "seresnext101_32x4d": TimmNetwork("k3", "resnext101", "se"),
    "skresnet18": TimmNetwork("k3+k3d2/r8/L=16", "skresnet18"),
    "skresnet34": TimmNetwork("k3+k3d2/r8/L=16", "skresnet34"),
    "skresnet50": TimmNetwork("k3+k3d2/L=8", "skresnet50"),
    "skresnet50d": TimmNetwork("k3+k3d2/L=8", "skresnet50d"),
    "skresnext50_32x4d": TimmNetwork("k3+k3d2", "sknet50"),
}


def load_timm(source: nn.Module | Mapping[str, Tensor], name: str | None = None) -> Network:
    """Return our network with the weights of ``source``, a model of timm or its state dict, in evaluation mode.

    ``name`` is timm's name of the architecture; a model made by ``timm.create_model`` knows it. Classes and channels of
    the images are those of the weights. A model is run once beside ours: the logits are the same up to rounding.
    Raises ``UserError`` for a name that is not in ``TIMM``, for weights of another network, and for a model that
    computes something else with them (made with another activation or pool).
    """
    if not isinstance(source, nn.Module | Mapping):
        raise UserError(f"load_timm: {source!r} is neither a model of timm nor a state dict")
    state = source.state_dict() if isinstance(source, nn.Module) else source
    if name is None:
        name = getattr(source, "pretrained_cfg", {}).get("architecture")
    if name is None:
        raise UserError(
            "load_timm: a state dict does not say what it is of; give name=, such as 'skresnet50'"
        )
    known = _known(name)
    last = state.get("fc.weight")
    classes = None if last is None or last.dim() != 2 else last.shape[0]
    first = next(
        (value for key, value in state.items() if key.startswith("conv1.") and value.dim() == 4), None
    )
    in_channels = None if first is None else first.shape[1]
    with torch.device("meta"):
        network = build(
            known.block, known.backbone, classes=classes, gate=known.gate, in_channels=in_channels
        )
    theirs, taken = dict(state), {}
    for key, empty in network.state_dict().items():
        given = theirs.pop(_their_key(network, key), None)
        # their linear layers of attention are 1x1 convolutions
        if (
            given is None
            or (*empty.shape, 1, 1)[: given.dim()] != given.shape
            or given.numel() != empty.numel()
        ):
            what = "there is none" if given is None else f"its shape is {tuple(given.shape)}"
            raise UserError(f"{_their_key(network, key)}: {what}; these are not the weights of timm's {name}")
        taken[key] = given.reshape(empty.shape).clone()
    if theirs:
        raise UserError(f"{next(iter(theirs))}: timm's {name} has no such weights")
    network.load_state_dict(taken, assign=True)
    network.requires_grad_(True).eval()
    if isinstance(source, nn.Module):
        _compare(source, network, name)
    return network


def _known(name: str) -> TimmNetwork:
    """Return what timm's network of this name is here; a tag behind a point says which weights it has."""
    return lookup(
        name.split(".", maxsplit=1)[0], TIMM, what="network of timm", where=f"known: {', '.join(TIMM)}"
    )


def _built(own: Architecture) -> str:
    return net_id(own.blocks, own.backbone)


def _compare(theirs: nn.Module, ours: Network, name: str) -> None:
    """Raise ``UserError`` unless both give the same logits of noise."""
    weight = ours.classifier.weight
    images = torch.randn(1, ours.in_channels, 64, 64, generator=torch.Generator().manual_seed(0))
    training = theirs.training
    try:
        with torch.no_grad():
            expected, found = (each.eval()(images.to(weight)) for each in (theirs, ours))
    finally:
        theirs.train(training)
    if (found - expected).abs().max() > TOLERANCE * expected.abs().max():
        raise UserError(
            f"this model of timm has the weights of {name} but computes something else with them: it was made with "
            "another activation, pool or stride; give its state dict with name= to take the weights alone"
        )


def timm_state(network: Network, name: str) -> dict[str, Tensor]:
    """Return the weights of ``network`` as timm's ``name`` has them, for its ``load_state_dict``.

    Raises ``UserError`` for a name that is not in ``TIMM``, and for a network that is another one.
    """
    if not isinstance(network, Network):
        raise UserError(f"timm_state: {type(network).__name__} is no network of skexplore.build or load_timm")
    known, own = _known(name), network.architecture
    expected = Architecture.of(
        known.block,
        known.backbone,
        gate=known.gate,
        classes=own.backbone.classes,
        in_channels=own.backbone.in_channels,
    )
    # by what is built, whatever it is called
    if (_built(own), own.gate, own.fuse_norm) != (_built(expected), expected.gate, True):
        raise UserError(f"this network is not timm's {name}, which is {known.block} in {known.backbone}")
    state = network.state_dict()
    convolutions = ("fc_reduce.weight", "fc_select.weight", "se.fc1.weight", "se.fc2.weight")  # linear here
    found = {}
    for key, value in state.items():
        theirs = _their_key(network, key)
        found[theirs] = value[:, :, None, None] if theirs.endswith(convolutions) else value
    return found


def _their_key(network: Network, key: str) -> str:
    """Return timm's name for a number of ours, such as ``layer1.0.conv2.paths.0.conv.weight``."""
    module, leaf = key.rsplit(".", 1)
    if module == "classifier":
        return f"fc.{leaf}"
    part, *rest = module.split(".")
    if part == "stem":
        return f"{_stem(network, rest)}.{leaf}"
    stage, number, *inside = rest
    unit = network.get_submodule(f"stages.{stage}.{number}")
    assert isinstance(unit, Unit)
    return f"layer{int(stage) + 1}.{number}.{_inside(unit, inside)}.{leaf}"


def _stem(network: Network, path: list[str]) -> str:
    """Return timm's name of a layer of the stem; a deep one is numbered with its activations."""
    if len(path) == 1:
        return "conv1" if path == ["0"] else "bn1"
    number, layer = map(int, path)
    last = max(int(name) for name, part in network.stem.named_children() if isinstance(part, nn.Sequential))
    return "bn1" if (number, layer) == (last, 1) else f"conv1.{3 * number + layer}"


def _inside(unit: Unit, path: list[str]) -> str:
    """Return timm's name of a layer of a unit."""
    part, *rest = path
    if part == "gate":
        return "se.fc1" if rest[-1] == "0" else "se.fc2"
    if part == "shortcut":
        pooled = unit.form.shortcut == "pooled"
        return f"downsample.{int(rest[-1]) + pooled}"
    names = [name for name in unit.paths[0] if name != "gate"]
    place = names.index(part) + 1
    selects = unit.sk.selects
    if part != "sk":
        kind = ("conv", "bn")[int(rest[0])]
        return f"conv{place}.{kind}" if selects else f"{kind}{place}"
    if rest[0] == "branches":
        _, number, layer = rest
        kind = ("conv", "bn")[int(layer)]
        return f"conv{place}.paths.{number}.{kind}" if selects else f"{kind}{place}"
    return f"conv{place}.attn.{_ATTENTION['.'.join(rest)]}"


_ATTENTION = {"fc.0": "fc_reduce", "fc.1": "bn", "attend": "fc_select"}
