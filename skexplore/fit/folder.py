"""What a finished training hands over: weights, code, ONNX, ``torch.export``, timm's config and a model card.

Nothing in it needs skexplore, and nothing is sent anywhere.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from skexplore.arch import (
    REFERENCE,
    get_reference,
    net_id,
    resolution_text,
    written_for,
)
from skexplore.errors import UserError
from skexplore.export import onnx_bytes, standalone_code
from skexplore.files import write_atomic
from skexplore.nn import Network
from skexplore.study import Fit, FitMetrics, FitSpec, write_metrics
from skexplore.templates import environment, markdown_code, markdown_text, render
from skexplore.training import save_weights

WEIGHTS, CODE, ONNX, PROGRAM, CONFIG, TIMM, CARD = (
    "model.safetensors", "block.py", "model.onnx", "model.pt2", "config.json", "timm_model.py", "README.md",
)  # fmt: skip


def hand_over(
    folder: Path, spec: FitSpec, state: dict[str, Tensor], metrics: FitMetrics, licence: str
) -> list[str]:
    """Write the files that a finished training hands over, then ``metrics.json``; return what could not be written.

    state: the weights that are kept. Raises ``OSError`` for a write that the system refused and ``StudyError`` if
    onnxruntime does not compute what torch does.
    """
    network = Network(spec.architecture)
    network.load_state_dict(state)
    network.eval()
    digest = save_weights(folder / WEIGHTS, network.state_dict())
    written: dict[str, bytes] = {}
    missing: list[str] = []
    if spec.architecture.gate is None and spec.architecture.fuse_norm:
        written[CODE] = _code(spec).encode()
        written[TIMM] = _timm(spec).encode()
        written[CONFIG] = (json.dumps(_config(spec), indent=2) + "\n").encode()
        try:
            written[ONNX] = onnx_bytes(network, spec.resolution)[0]
        except UserError as error:  # without the extra, or too large
            missing.append(f"{ONNX}: {error}".replace("--onnx needs", "needs"))
    else:
        missing.append(
            f"{CODE}, {CONFIG} and {ONNX}: of networks with attention modules beside the block there are none"
        )
    written[PROGRAM] = _program(network, spec)
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in written.items()}
    metrics = replace(metrics, files={WEIGHTS: digest} | sums)
    written[CARD] = card(spec, metrics, licence).encode()
    for name, content in written.items():
        write_atomic(folder / name, content)
    write_metrics(folder, metrics)  # last: it says that the training is finished
    return missing


def write_card(fit: Fit, metrics: FitMetrics, licence: str) -> None:
    """Write the card anew, with other measurements; raises ``OSError``."""
    write_atomic(fit.folder / CARD, card(fit.spec, metrics, licence))


def _reference(spec: FitSpec) -> Any:
    return get_reference(spec.reference) if spec.reference else written_for(spec.architecture.backbone)


def _code(spec: FitSpec) -> str:
    own, whole = spec.architecture, _reference(spec)
    return standalone_code(own.blocks, own.backbone, reference=whole)


def _program(network: Network, spec: FitSpec) -> bytes:
    """Return the network as ``torch.export`` keeps it, for batches of any size."""
    images = torch.zeros(2, spec.content.channels, spec.resolution, spec.resolution)
    batch = torch.export.Dim("batch", min=1)
    program = torch.export.export(network, (images,), dynamic_shapes={"x": {0: batch}})
    held = io.BytesIO()
    torch.export.save(program, held)
    return held.getvalue()


def entry_name(spec: FitSpec) -> str:
    """Return the name under which timm knows the network, another one for each."""
    own = spec.architecture
    return f"sk_{net_id(own.blocks, own.backbone)}"


def _timm(spec: FitSpec) -> str:
    return render("timm_model.py.j2", name=entry_name(spec), weights=WEIGHTS, channels=spec.content.channels)


def _config(spec: FitSpec) -> dict[str, Any]:
    """Return what timm reads of a model in a folder (``local-dir:``)."""
    content, side = spec.content, spec.resolution
    share = 0.875 if spec.recipe.crop == "random-size" else 1.0
    return {
        "architecture": entry_name(spec),
        "num_classes": content.classes,
        "num_features": spec.architecture.backbone.features,
        "model_args": {"in_chans": content.channels},
        "pretrained_cfg": {
            "num_classes": content.classes,
            "input_size": [content.channels, side, side],
            "interpolation": "bilinear",
            "crop_pct": share,
            "mean": list(content.mean),
            "std": list(content.std),
            "classifier": "classifier",
            "first_conv": "stem.0.0" if spec.architecture.backbone.stem.deep else "stem.0",
        },
    }


def card(spec: FitSpec, metrics: FitMetrics, licence: str) -> str:
    """Return the card in Markdown, with the metadata that model hubs read on its top."""
    markdown = environment(finalize=markdown_text)
    markdown.filters |= {"code": markdown_code, "json": json.dumps}
    own = spec.architecture
    return markdown.get_template("fit-card.md.j2").render(
        spec=spec,
        metrics=metrics,
        licence=licence,
        backbone=own.backbone,
        papers=own.backbone == REFERENCE,
        entry=entry_name(spec),
        pixels=resolution_text(spec.resolution),
        mean=", ".join(f"{value:.4f}" for value in spec.content.mean),
        std=", ".join(f"{value:.4f}" for value in spec.content.std),
        files=metrics.files,
        share=0.875 if spec.recipe.crop == "random-size" else 1.0,
    )
