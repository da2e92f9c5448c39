"""Exports of blocks that are written for another network than SKNet-50."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.exported import RECIPE, SPLIT, a_study

from skexplore.arch.backbones import get_backbone
from skexplore.arch.notation import format_blocks, parse_blocks
from skexplore.arch.proxies import proxy_name
from skexplore.arch.reference import canonical_at_reference, get_reference
from skexplore.errors import UserError
from skexplore.export.block_json import load_block, read_block, read_block_file
from skexplore.export.folder import export_block
from skexplore.export.verification import verify
from skexplore.study.recipe import TrainSpec
from skexplore.study.record import Record


def exported(tmp_path, block, reference, **more):
    """Export one complete trial of a made-up search at ``reference``."""
    body = proxy_name(get_reference(reference), get_backbone("8x4d-1111-s2"))
    study = a_study()
    spec = replace(study.spec, reference=reference, backbone=body)
    own = spec.at_reference(block)
    network = spec.proxy(own)
    text = format_blocks(own.blocks)
    key = TrainSpec(
        block=text, net_id=network.id, backbone=body, recipe=RECIPE, split=SPLIT, seed=0, reference=reference
    ).key
    record = Record(
        number=3,
        arch_id=own.id,
        net_id=network.id,
        block=text,
        status="complete",
        origin="search",
        sampler="tpe",
        epochs=6,
        seed=0,
        ref_params=own.cost().params,
        ref_macs=own.cost().macs,
        proxy_params=network.cost().params,
        proxy_macs=network.cost().macs,
        val_error=0.3,
        key=key,
    )
    out = tmp_path / "out"
    export_block(replace(study, spec=spec, records=(record,)), record, tmp_path / "none", out, **more)
    return out


@pytest.mark.parametrize(
    ("block", "reference"),
    [
        ("k3+k3d2relu/r4/L8", "shufflenetv2-0.5x@64"),
        ("k3+k5/L64", "mobilenetv2@64"),
        ("k3+k3d2/r8", "skresnet18@64x48"),
        ("k3g=2+k3d2", "resnet50d@48"),
        ("k3+k3d2", "sknet26@64"),
    ],
)
def test_an_export_of_any_reference_verifies(tmp_path, block, reference):
    out = exported(tmp_path, block, reference, scale="proxy", onnx=True)
    checks = verify(out)
    assert [check.name for check in checks if not check.ok] == []
    assert {"reference cost, fvcore", "block.py at the reference, fvcore", "equal outputs"} <= {
        check.name for check in checks
    }
    file = read_block_file(out)
    assert file.reference.backbone == reference
    assert load_block(out) == canonical_at_reference(parse_blocks(block), get_reference(reference))
    assert read_block(str(out), get_reference(reference)) == load_block(out)
    with pytest.raises(
        UserError, match=f"is written for {reference}, not for sknet50: give --reference {reference}"
    ):
        read_block(str(out))
    assert "SKNet-50 of the paper" not in (out / "block.py").read_text()


def test_sizes_are_said_as_height_and_width(tmp_path):
    out = exported(tmp_path, "k3+k3d2/r8", "skresnet18@64x48")
    file = read_block_file(out)
    assert (file.reference.resolution, file.reference.size) == ("64x48", (64, 48))
    assert "64 x 48 pixels" in (out / "README.md").read_text()
    assert "(batch, 3, 64, 48)" in (out / "block.py").read_text()


def test_a_block_of_another_reference_is_found_out(tmp_path):
    out = exported(tmp_path, "k3+k3d2", "skresnet18@64")
    file = out / "block.json"
    file.write_text(file.read_text().replace('"skresnet18@64"', '"skresnet34@64"', 1))
    assert not all(check.ok for check in verify(out))
