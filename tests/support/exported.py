"""Exported folders to test on: records and studies made up here, of real costs and identities."""

from dataclasses import replace
from hashlib import sha256

import torch

from skexplore.arch.backbones import REFERENCE
from skexplore.arch.costs import arch_id, cost, net_id
from skexplore.arch.notation import format_blocks, parse_blocks
from skexplore.arch.reference import canonical_at_reference
from skexplore.export.folder import export_block
from skexplore.nn.network import seeded_build
from skexplore.study.recipe import Recipe, Split, TrainSpec
from skexplore.study.record import Record
from skexplore.study.spec import StudySpec
from skexplore.study.study import Study
from skexplore.training.messages import weights_file
from skexplore.training.weights import save_weights

PROXY = "8x4d-1111-s2"
RECIPE = Recipe(epochs=6, batch_size=64)
SPLIT = Split(train_images=5_000, val_images=5_000)
PER_STAGE = "k3+k3d2;k3;k3+k5g64/sum;k3+k3d2+k3d3/r8"


def a_record(block, *, number=0, val_error=0.3124, status="complete", origin="search", seed=0, **changes):
    text = format_blocks(canonical_at_reference(parse_blocks(block)))
    reference, proxy = cost(text, REFERENCE), cost(text, PROXY)
    spec = TrainSpec(
        block=text, net_id=net_id(text, PROXY), backbone=PROXY, recipe=RECIPE, split=SPLIT, seed=seed
    )
    record = Record(
        number=number,
        arch_id=arch_id(text),
        net_id=spec.net_id,
        block=text,
        status=status,
        origin=origin,
        sampler="tpe",
        rung=2,
        epochs=6,
        images=30_000,
        seed=seed,
        ref_params=reference.params,
        ref_macs=reference.macs,
        proxy_params=proxy.params,
        proxy_macs=proxy.macs,
        val_error=val_error,
        seconds=12.5,
        key=spec.key,
    )
    return replace(record, **changes)


def a_study(*records, name="cifar10-sk-4.5g-quick-s0"):
    spec = StudySpec(
        name=name,
        space="sk",
        space_hash="0" * 12,
        budget_gflops=4.5,
        profile="quick",
        backbone=PROXY,
        recipe=RECIPE,
        split=SPLIT,
        sampler="tpe",
        anchors="two",
        anchor_seeds=2,
        seed=0,
    )
    return Study(
        spec=spec,
        records=records,
        target=12,
        environment={"torch": "2.15.0", "python": "3.11"},
        command="skexplore search --budget-gflops 4.5",
        state="finished",
    )


def keep_weights(folder, record):
    """Save weights as a training leaves them: drawn, and with BatchNorm statistics that are not 0 and 1."""
    network = seeded_build(record.block, PROXY, seed=7)
    with torch.no_grad():
        network.train()(torch.randn(8, 3, 32, 32, generator=torch.Generator().manual_seed(3)))
    save_weights(weights_file(folder, record.key), network.state_dict())
    return network.eval()


def exported(tmp_path, block, *, weights=True, scale="reference", onnx=False, **changes):
    record = a_record(block, **changes)
    folder = tmp_path / "study"
    if weights:
        keep_weights(folder, record)
        record = replace(
            record, weights_sha256=sha256(weights_file(folder, record.key).read_bytes()).hexdigest()
        )
    out = tmp_path / "out"
    export_block(a_study(record), record, folder, out, scale=scale, onnx=onnx)
    return out
