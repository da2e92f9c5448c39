"""The card of an exported block: its README.md, for a reader who has nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from skexplore.arch import (
    REFERENCE,
    Architecture,
    Backbone,
    Blocks,
    SKBlock,
    cost,
    parse_blocks,
    placed_rows,
    resolution_text,
    why_not,
)
from skexplore.export.block_json import BelievedError, BlockFile
from skexplore.paper import Placement, place, table_rows, tables_of
from skexplore.study import Recipe
from skexplore.templates import Markup, environment, markdown_code, markdown_text
from skexplore.words import chance_words, counted, listed


def card(block: BlockFile) -> str:
    """Return the Markdown card of ``block``. No text in it is markup but what is marked so."""
    markdown = environment(finalize=markdown_text)
    markdown.filters |= {"code": markdown_code, "cells": _cells, "raw": Markup}
    return markdown.get_template("block.md.j2").render(_card_context(block))


def _cells(row: list[object]) -> Markup:
    return Markup(" | ".join(str(markdown_text(cell)) for cell in row))


def fusion(block: SKBlock) -> str:
    """Return how the block's branches are fused, in words."""
    if block.selects:
        floor = f"at least {block.min_dim}" if block.min_dim > 1 else "no floor"
        rule = f"d = C / {block.reduction}, {floor} (Eq. 4, at the reference)"
        return f"fused by attention over the branches, {rule}"
    return (
        "fused by addition, without attention" if len(block.branches) > 1 else "one branch: nothing to fuse"
    )


def size_line(blocks: Blocks, body: Backbone) -> str:
    """Return one line on the network that ``body`` becomes with the block: input, parameters, GFLOPs."""
    own = cost(blocks, body)
    digits = 2 if own.macs >= 1e9 else 4  # the small proxies have a few hundredths of a GFLOP
    return (
        f"{body.name.split('@')[0]} at {resolution_text(body.resolution).replace('x', ' x ')}, {body.classes} classes: "
        f"{own.params / 1e6:.{digits}f} M parameters, {own.macs / 1e9:.{digits}f} GFLOPs"
    )


def _card_context(block: BlockFile) -> dict[str, object]:
    blocks, body, whole = parse_blocks(block.block), block.proxy_body, block.reference_body
    return {
        "block": block,
        "found": "a published block, trained for comparison"
        if block.provenance.origin == "anchor"
        else "found by architecture search",
        "papers": whole == REFERENCE,
        "parts": list(_parts(blocks, body, whole)),
        "costs": _cost_rows(block),
        "recipe": _recipe(block.recipe),
        "placement": [_placement_row(placement, whole) for placement in place(blocks, whole)],
        "tables": listed(map(str, tables_of(whole)), "and"),
        "reference": size_line(blocks, whole),
        "proxy": size_line(blocks, body),
        "mean": ", ".join(f"{value:.4f}" for value in block.split.content.mean),
        "chances": _chances(block.believed),
        **_onnx(block),
        "timm": _timm(blocks, whole),
        "deviation": ", ".join(f"{value:.4f}" for value in block.split.content.std),
    }


def _chances(believed: BelievedError | None) -> str:
    """Return the chances that the block is better than published ones, in words."""
    if believed is None:
        return ""
    rivals = (("the paper's block", believed.beats_paper), ("plain K3", believed.beats_plain))
    said = [f"{name} with a chance {chance_words(value)}" for name, value in rivals if value is not None]
    return listed(said, "and") if said else ""


def _onnx(block: BlockFile) -> dict[str, object]:
    """Return what the card says of ``block.onnx``; nothing if there is none."""
    file = block.onnx
    if file is None:
        return {}
    own = block.reference if file.scale == "reference" else block.proxy
    fresh = (
        f'fresh weights, those of `torch.manual_seed({file.seed}); build("{file.scale}")`, not trained ones'
    )
    return {
        "onnx_weights": "the trained weights" if file.weights == "trained" else Markup(fresh),
        "onnx_size": own.pixels.replace(" x", ","),
        "onnx_classes": own.classes,
    }


def _timm(blocks: Blocks, reference: Backbone) -> str:
    """Return what ``timm.json`` holds, in a line."""
    reasons = dict.fromkeys(reason for block in reference.place(blocks) for reason in why_not(block))
    if not reasons:
        return Markup("the arguments of timm's `SelectiveKernel` that make this block, stage by stage")
    return Markup(f"why timm's `SelectiveKernel` cannot be this block: {'; '.join(reasons)}")


def _recipe(recipe: Recipe) -> str:
    rate = f"learning rate {recipe.lr:g}"
    schedule = {"one_cycle": f"one cycle to {rate}", "steps": f"{rate}, divided by 10 at 50 % and at 75 %"}
    by = {"sgd": "SGD", "muon": "Muon and SGD"}[recipe.optimizer]
    images = "" if recipe.augment else ", no augmentation"
    images = (
        ", random crops and flips" if recipe.augment and recipe.crop else images
    )  # flips alone are an extra
    return (
        f"{by} with {'Nesterov ' if recipe.nesterov else ''}momentum {recipe.momentum:g}, "
        f"{schedule[recipe.schedule]} over {counted(recipe.epochs, 'epoch')}, batches of {recipe.batch_size}, "
        f"weight decay {recipe.weight_decay:g}, label smoothing {recipe.label_smoothing:g}{images}{recipe.extras}"
    )


def _dims(blocks: Blocks, body: Backbone, number: int) -> str:
    """Return d in each stage of a tied block, or in the one of block ``number``; where units differ, of each width."""
    rows = placed_rows(Architecture(blocks=blocks, backbone=body))
    found = [row["d"] for row in (rows if len(blocks) == 1 else rows[number : number + 1])]
    return ", ".join("/".join(map(str, dims)) for dims in found if isinstance(dims, list))


def _parts(blocks: Blocks, body: Backbone, reference: Backbone = REFERENCE) -> Iterator[dict[str, object]]:
    """Yield the branch table and the fusion of the tied block, or of each stage's."""
    there, proxy = reference.place(blocks), body.place(blocks)
    for number, block in enumerate(blocks):
        fuse = fusion(block)
        if block.selects:
            dims = [_dims(blocks, each, number) for each in (reference, body)]
            where = "stage by stage" if len(blocks) == 1 else "here"
            fuse += f". The compact feature z has, {where}, {dims[0]} channels at the reference"
            fuse += f" and {dims[1]} in the proxy"
        yield {
            "title": "" if len(blocks) == 1 else Markup(f"Stage {number + 1}: {markdown_code(str(block))}"),
            "branches": [
                [
                    markdown_code(str(branch)),
                    f"{branch.kernel} x {branch.kernel}",
                    branch.dilation,
                    f"{branch.receptive_field} x {branch.receptive_field}",
                    "as channels" if reference.unit.depthwise else large.groups,
                    "as channels" if body.unit.depthwise else small.groups,
                ]
                for branch, large, small in zip(
                    block.branches, there[number].branches, proxy[number].branches, strict=True
                )
            ],
            "fuse": f"{fuse[0].upper()}{fuse[1:]}.",
        }


def _cost_rows(block: BlockFile) -> list[list[str]]:
    places = (block.reference, block.proxy)
    return [
        ["network", *(p.backbone for p in places)],
        ["input", *(f"{p.pixels}, {p.classes} classes" for p in places)],
        ["#P (trainable)", *(f"{p.cost.params:,}" for p in places)],
        ["BatchNorm statistics", *(f"{p.cost.bn_stats:,}" for p in places)],
        ["GFLOPs", *(f"{p.cost.macs / 1e9:.4f}" for p in places)],
        ["multiply-adds", *(f"{p.cost.macs:,}" for p in places)],
        ["gate multiply-adds", *(f"{p.cost.gate_macs:,}" for p in places)],
        ["activations", *(f"{p.cost.activations:,}" for p in places)],
    ]


def _placement_row(placement: Placement, reference: Backbone) -> list[str]:
    printed = {row.system: row.top1_error_pct for row in table_rows(placement.table, reference)}
    return [
        str(placement.table),
        "; ".join(placement.nearest),
        f"{placement.params_diff_pct:+.2f} %",
        f"{placement.macs_diff_pct:+.2f} %",
        "yes" if placement.matched else "no",
        f"this block {placement.relation} it",
        "; ".join(f"{printed[system]:.2f}" for system in placement.nearest),
    ]
