"""What a finished training hands over: weights, code, ONNX, ``torch.export``, timm's config and a model card.

Nothing in it needs skexplore, and nothing is sent anywhere.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import replace
from typing import Any

import torch

from skexplore.arch import (
    Backbone,
    get_reference,
    net_id,
    written_for,
)
from skexplore.errors import StudyError, UserError
from skexplore.export import onnx_bytes, standalone_code
from skexplore.files import write_atomic
from skexplore.fit.images import eval_share
from skexplore.nn import Network
from skexplore.study import Fit, FitMetrics, FitSpec, write_metrics
from skexplore.templates import Markup, environment, markdown_code, markdown_text, render
from skexplore.training import load_weights

WEIGHTS, CODE, ONNX, PROGRAM, CONFIG, TIMM, CARD = (
    "model.safetensors", "block.py", "model.onnx", "model.pt2", "config.json", "timm_model.py", "README.md",
)  # fmt: skip


def hand_over(fit: Fit, metrics: FitMetrics) -> list[str]:
    """Write what a finished training hands over beside its weights, then ``metrics.json``; return what could not be.

    The card comes last: where there is one, all is there. Raises ``UserError`` for weights that are not those of the
    training, and ``OSError`` for a write that the system refused.
    """
    spec, folder = fit.spec, fit.folder
    network = Network(spec.architecture)
    digest = metrics.files[WEIGHTS]
    network.load_state_dict(load_weights(folder / WEIGHTS, digest)[1])
    network.eval()
    written: dict[str, bytes] = {}
    missing: list[str] = []
    if spec.architecture.gate is None and spec.architecture.fuse_norm:
        written[CODE] = _code(spec).encode()
        written[TIMM] = _timm(spec).encode()
        written[CONFIG] = (json.dumps(_config(spec, metrics.labels), indent=2) + "\n").encode()
        try:
            written[ONNX] = onnx_bytes(network, spec.resolution, metrics.labels)[0]
        except (UserError, StudyError) as error:  # without the extra, too large, or not what torch computes
            missing.append(f"{ONNX} ({str(error).replace('--onnx needs', 'it needs')})")
    else:
        names = ", ".join((CODE, TIMM, CONFIG))
        missing.append(f"{names} and {ONNX}, which networks with more than the block have not")
    written[PROGRAM] = _program(network, spec)
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in written.items()}
    metrics = replace(metrics, files={WEIGHTS: digest} | sums)
    for name, content in written.items():
        write_atomic(folder / name, content)
    write_metrics(folder, metrics)
    write_atomic(folder / CARD, card(spec, metrics))
    return missing


def _reference(spec: FitSpec) -> Backbone:
    """Return the network for which the block is written, the trained one where that has other stages than the block."""
    own = spec.architecture
    whole = get_reference(spec.reference) if spec.reference else written_for(own.backbone)
    return whole if len(own.blocks) in (1, len(whole.stages)) else own.backbone


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


def _config(spec: FitSpec, labels: tuple[str, ...]) -> dict[str, Any]:
    """Return what timm reads of a model in a folder (``local-dir:``)."""
    content, side = spec.content, spec.resolution
    return {
        "architecture": entry_name(spec),
        "num_classes": content.classes,
        "num_features": spec.architecture.backbone.features,
        **({"label_names": list(labels)} if labels else {}),
        "model_args": {"in_chans": content.channels},
        "pretrained_cfg": {
            "num_classes": content.classes,
            "input_size": [content.channels, side, side],
            "interpolation": "bilinear",
            "crop_pct": eval_share(spec.recipe),
            "mean": list(content.mean),
            "std": list(content.std),
            "classifier": "classifier",
            "first_conv": "stem.0.0" if spec.architecture.backbone.stem.deep else "stem.0",
        },
    }


def card(spec: FitSpec, metrics: FitMetrics) -> str:
    """Return the card in Markdown, with the metadata that model hubs read on its top."""
    markdown = environment(finalize=markdown_text)
    markdown.filters |= {"code": markdown_code, "json": json.dumps, "raw": Markup}
    own = spec.architecture
    return markdown.get_template("fit-card.md.j2").render(
        spec=spec,
        metrics=metrics,
        licence=metrics.licence,
        backbone=own.backbone,
        entry=entry_name(spec),
        mean=", ".join(f"{value:.4f}" for value in spec.content.mean),
        std=", ".join(f"{value:.4f}" for value in spec.content.std),
        files=metrics.files,
        share=eval_share(spec.recipe),
    )
