"""What of an exported folder follows from its ``block.json``: every text, and what is said of the weights.

The export writes these texts, and ``verify`` compares the files with them.
"""

from __future__ import annotations

import json
import shlex
from itertools import product

from skexplore.arch import REFERENCE, block_svg, parse_blocks, standalone, timm_arguments
from skexplore.errors import UserError
from skexplore.export.block_json import CODE_NAME, BlockFile
from skexplore.export.card import card
from skexplore.export.code import code
from skexplore.paper import place_svg
from skexplore.plan import TrainRequest, plan_training
from skexplore.study import PROFILES, RECIPES
from skexplore.words import counted

DOCUMENTS = ("timm.json", "block.svg", "place.svg", "README.md")  # beside block.py


def texts(block: BlockFile) -> dict[str, str]:
    """Return the text files of the folder that ``block`` describes, by name."""
    blocks, whole, body = parse_blocks(block.block), block.reference_body, block.proxy_body
    documents = (
        json.dumps(timm_arguments(blocks, body, whole), indent=2) + "\n",
        standalone(block_svg(blocks, whole)),
        standalone(place_svg(blocks, whole)),
        card(block),
    )
    return {
        CODE_NAME: code(blocks, body, block.scale, schema=block.schema, reference=whole),
        **dict(zip(DOCUMENTS, documents, strict=True)),
    }


def weights_note(block: BlockFile) -> str:
    """Return what the weights of ``block`` are, or why there are none and the command that makes them."""
    if block.weights is not None:
        return f"weights of the proxy after {counted(block.epochs, 'epoch')}"
    stopped = block.provenance.status == "stopped"
    why = "a stopped training leaves none" if stopped else "none are kept in the study's folder"
    other = "repeat its search under another --study name with --keep-weights all"
    if not stopped and "cuda" in block.provenance.environment.get("workers", ""):
        return (
            f"{why}, and on a GPU the same training again gives other weights than the ones it had: {other}"
        )
    again = _training_command(block)
    if again is None:
        return f"{why}, and no profile of this version trains as it did: {other}"
    command, study = again
    if stopped:
        return f"{why}; `{command}` trains the block to the end, which is another measurement"
    only = (
        " (only a file with the SHA-256 of the first training is taken: another machine may give another)"
        if block.weights_sha256
        else ""
    )
    return (
        f"{why}; `{command}` repeats this training and leaves them as "
        f"`studies/{study}/weights/{block.provenance.key}.safetensors`: copy that file into the folder `weights` "
        f"of the study and export again{only}"
    )


def _training_command(block: BlockFile) -> tuple[str, str] | None:
    """Return the command that repeats the training and the study it begins, None if no profile is that recipe."""
    blocks, trained = parse_blocks(block.block), (block.proxy.backbone, block.recipe, block.split)
    for backbone, recipe, profile in product((None, block.proxy.backbone), (None, *RECIPES), PROFILES):
        try:
            spec = plan_training(
                TrainRequest(
                    blocks=blocks,
                    profile=profile,
                    recipe=recipe,
                    dataset=block.split.content,
                    backbone=backbone,
                    reference=block.reference.backbone,
                    seed=block.seed,
                )
            ).spec
        except UserError:
            continue
        if (spec.backbone, spec.recipe, spec.split) == trained:
            words = ["skexplore", "train", block.block, "--profile", profile]
            words += ["--recipe", recipe] if recipe else []
            usual = block.reference_body == REFERENCE
            words += [] if usual else ["--reference", block.reference.backbone]
            own = block.split.own
            words += ["--dataset", f"FOLDER@{own.side}" if own else block.split.dataset]
            words += ["--backbone", backbone] if backbone else []
            return shlex.join([*words, "--seed", str(block.seed)]), spec.name
    return None
