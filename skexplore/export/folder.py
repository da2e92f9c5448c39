"""A finished trial as a folder that works without us: definition, code, weights and a card."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from skexplore.arch import (
    REFERENCE,
    Backbone,
    Blocks,
    arch_id,
    block_svg,
    canonical_at_reference,
    cost,
    format_blocks,
    net_id,
    parse_blocks,
    standalone,
    timm_arguments,
)
from skexplore.errors import UserError, check_one_of
from skexplore.export.block_json import (
    FILE_NAME,
    SCALES,
    SCHEMA,
    BlockFile,
    FileHash,
    OnnxFile,
    Place,
    Provenance,
)
from skexplore.export.card import card
from skexplore.export.code import code
from skexplore.export.onnx_file import OPSET, onnx_bytes, require as require_onnx
from skexplore.files import write_atomic
from skexplore.nn import build, seeded_build
from skexplore.paper import place_svg
from skexplore.plan import TrainRequest, plan_training
from skexplore.study import Record, Study
from skexplore.training import load_weights, weights_file

CODE_NAME = "block.py"
WEIGHTS_NAME = "weights.safetensors"
ONNX_NAME = "block.onnx"
TIMM_NAME = "timm.json"
BLOCK_PICTURE, PLACE_PICTURE = "block.svg", "place.svg"
CARD_NAME = "README.md"
EXPORTABLE = ("complete", "stopped")
MAX_LISTED = 20  # trial numbers in an error


def chosen(study: Study, which: str) -> list[Record]:
    """Return the records meant by ``which``: ``best``, ``front`` (by macs) or the number of a search trial.

    ``best`` and ``front`` are complete and within the budget; a trial by number may also be stopped or over
    the budget. Raises ``UserError`` that says which are allowed.
    """
    if study.spec.ablation is not None:
        other = study.spec.ablation.of
        where = f"`skexplore export {other}`" if other else "the study of a search"
        raise UserError(f"study {study.spec.name} compares variants and has no trials; export from {where}")
    if which in ("best", "front"):
        best = study.best()
        if best is None:
            raise UserError(
                f"study {study.spec.name} has no complete trial within its budget, so no {which}; "
                f"{_allowed(study)}"
            )
        return [best] if which == "best" else study.front()
    if not (which.isascii() and which.isdigit()):
        raise UserError(f"trial {which!r}: must be best, front or a number; {_allowed(study)}")
    found = [record for record in study.searched if record.number == int(which)]
    if not found:
        raise UserError(f"study {study.spec.name} has no trial {which}; {_allowed(study)}")
    record = found[0]
    if record.status not in EXPORTABLE:
        raise UserError(f"trial {which} is {_status(study, record)}; {_allowed(study)}")
    return [record]


def _status(study: Study, record: Record) -> str:
    if record.status != "replay":
        return record.status
    source = [r for r in study.searched if r.key == record.replay_of and r.status in EXPORTABLE]
    return f"a replay of trial {source[0].number}" if source else "a replay of an anchor"


def _allowed(study: Study) -> str:
    numbers = [str(record.number) for record in study.searched if record.status in EXPORTABLE]
    if not numbers:
        return "it has no complete or stopped trial yet; let `skexplore search` go on"
    more = f" and {len(numbers) - MAX_LISTED} more" if len(numbers) > MAX_LISTED else ""
    return f"complete or stopped trials: {', '.join(numbers[:MAX_LISTED])}{more}"


def export_block(
    study: Study, record: Record, folder: Path, out: Path, *, scale: str = "reference", onnx: bool = False
) -> list[Path]:
    """Write the block of ``record`` to the folder ``out`` and return the files written.

    ``folder`` is the study's own: weights kept there are copied. ``scale`` (``reference`` or ``proxy``) is the network
    that ``build()`` of ``block.py`` builds by default, and that ``block.onnx`` holds if ``onnx``. A new ``out``
    appears whole or not at all; an earlier export is replaced file by file. Raises ``UserError`` if the record holds
    no finished training, if ``out`` is in use for something else or cannot be written, or without the extra ``onnx``;
    ``StudyError`` if onnxruntime does not agree with torch. Nothing is written then.
    """
    check_one_of("--scale", scale, SCALES)
    if record.status not in EXPORTABLE or record.val_error is None:
        raise UserError(
            f"trial {record.number} is {record.status}: only complete and stopped trials are exported"
        )
    _refuse_foreign(out)
    if onnx:
        require_onnx()
    contents = _contents(study, record, folder, scale, onnx=onnx)
    try:
        if out.is_dir():
            # before the rest: files of an earlier export must not stand beside another block
            for name in (WEIGHTS_NAME, ONNX_NAME):
                if name not in contents:
                    (out / name).unlink(missing_ok=True)
            _write_all(out, contents)
        else:
            with _whole_folder(out) as temporary:
                _write_all(temporary, contents)
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror})") from None
    return [out / name for name in contents]


def _refuse_foreign(out: Path) -> None:
    if not out.exists() and not out.is_symlink():
        return
    if not out.is_dir():
        raise UserError(f"{out}: is a file; give a folder")
    if not (out / FILE_NAME).is_file() and any(out.iterdir()):
        raise UserError(
            f"{out}: is not empty and holds no {FILE_NAME}; give a new folder or an earlier export"
        )


def _write_all(out: Path, contents: dict[str, bytes]) -> None:
    for name, content in contents.items():
        write_atomic(out / name, content)


@contextmanager
def _whole_folder(out: Path) -> Iterator[Path]:
    """Yield a temporary sibling that becomes ``out`` in one step, or vanishes if anything fails."""
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        yield temporary
        temporary.chmod(0o755)  # mkdtemp makes folders private; results are to be shared
        temporary.rename(out)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _contents(study: Study, record: Record, folder: Path, scale: str, *, onnx: bool) -> dict[str, bytes]:
    """Return the files by name; ``block.json`` is last, so that it never describes files not yet there."""
    blocks, body = parse_blocks(record.block), study.spec.body
    files: dict[str, bytes] = {CODE_NAME: code(blocks, body, scale).encode()}
    kept = weights_file(folder, record.key)
    # a stopped training leaves none; what is kept under its key is of another one, that went on to the end
    if record.status == "complete" and kept.is_file():
        files[WEIGHTS_NAME] = _checked_weights(kept, blocks, body)
    block = _block_file(study, record, scale, files)
    if onnx:
        files[ONNX_NAME], written = _onnx(block, kept)
        block = replace(block, onnx=written)
    others = {
        TIMM_NAME: json.dumps(timm_arguments(blocks, body), indent=2) + "\n",
        BLOCK_PICTURE: standalone(block_svg(blocks)),
        PLACE_PICTURE: standalone(place_svg(blocks)),
    }
    others[CARD_NAME] = card(study, block)
    files |= {name: text.encode() for name, text in others.items()}
    block = replace(block, files=tuple(_file_hash(name, files[name]) for name in others))
    files[FILE_NAME] = block.to_json().encode()
    return files


def _onnx(block: BlockFile, kept: Path) -> tuple[bytes, OnnxFile]:
    """Return ``block.onnx`` with what is to be said of it: trained weights if it is the proxy and they are kept."""
    trained = block.scale == "proxy" and block.weights is not None
    body = block.proxy_body if block.scale == "proxy" else REFERENCE
    network = seeded_build(parse_blocks(block.block), body, seed=block.seed)
    if trained:
        network.load_state_dict(load_weights(kept))
    content, agreement = onnx_bytes(network, body.resolution)
    return content, OnnxFile(
        file=_file_hash(ONNX_NAME, content),
        scale=block.scale,
        weights="trained" if trained else "fresh",
        seed=block.seed,
        opset=OPSET,
        largest_difference=agreement.largest_difference,
        largest_output=agreement.largest_output,
    )


def _checked_weights(kept: Path, blocks: Blocks, body: Backbone) -> bytes:
    """Return the bytes of ``kept`` after they were loaded into the network that they claim to belong to."""
    try:
        build(blocks, body).load_state_dict(load_weights(kept))
    except RuntimeError:
        raise UserError(
            f"{kept}: these weights do not fit {format_blocks(blocks)} in {body.name}; move the file away to "
            "export without weights"
        ) from None
    return kept.read_bytes()


def _block_file(study: Study, record: Record, scale: str, files: dict[str, bytes]) -> BlockFile:
    blocks, spec = parse_blocks(record.block), study.spec
    kept = WEIGHTS_NAME in files
    assert record.val_error is not None
    return BlockFile(
        schema=SCHEMA,
        block=record.block,
        canonical=format_blocks(canonical_at_reference(blocks)),
        arch_id=arch_id(blocks),
        net_id=net_id(blocks, spec.body),
        reference=_place(blocks, REFERENCE),
        proxy=_place(blocks, spec.body),
        val_error=record.val_error,
        seed=record.seed,
        epochs=record.epochs,
        recipe=spec.recipe,
        split=spec.split,
        provenance=Provenance(
            study=spec.name,
            trial=record.number,
            origin=record.origin,
            status=record.status,
            key=record.key,
            command=study.command,
            environment=dict(sorted(study.environment.items())),
        ),
        code=_file_hash(CODE_NAME, files[CODE_NAME]),
        weights=_file_hash(WEIGHTS_NAME, files[WEIGHTS_NAME]) if kept else None,
        weights_note=f"weights of the proxy after {record.epochs} epochs"
        if kept
        else _how_to_train(study, record),
        scale=scale,
    )


def _how_to_train(study: Study, record: Record) -> str:
    """Return why there are no weights, and the command that makes them."""
    again = _training_command(study, record)
    if again is None:
        why = (
            "none are kept in the study's folder"
            if record.status == "complete"
            else "a stopped training leaves none"
        )
        return (
            f"{why}, and no profile of this version trains as it did: repeat its search under another --study name "
            "with --keep-weights all"
        )
    command, name = again
    if record.status == "stopped":
        return f"a stopped training leaves none; `{command}` trains the block to the end, which is another measurement"
    return (
        f"none are kept in the study's folder; `{command}` repeats this training and leaves them as "
        f"studies/{name}/weights/{record.key}.safetensors: put that file into its weights/ "
        "and export again"
    )


def _training_command(study: Study, record: Record) -> tuple[str, str] | None:
    """Return the command that repeats this training and the study it begins, None if no profile is that recipe."""
    spec, blocks = study.spec, parse_blocks(record.block)
    for backbone in (None, spec.backbone):
        try:
            own = plan_training(
                TrainRequest(
                    blocks=blocks,
                    profile=spec.profile,
                    dataset=spec.split.dataset,
                    backbone=backbone,
                    seed=record.seed,
                )
            ).spec
        except UserError:
            return None
        if (own.backbone, own.recipe, own.split) == (spec.backbone, spec.recipe, spec.split):
            words = ["skexplore", "train", record.block, "--profile", spec.profile]
            words += ["--dataset", spec.split.dataset, *(["--backbone", backbone] if backbone else [])]
            return shlex.join([*words, "--seed", str(record.seed)]), own.name
    return None


def _place(blocks: Blocks, body: Backbone) -> Place:
    return Place(
        backbone=body.name, resolution=body.resolution, classes=body.classes, cost=cost(blocks, body)
    )


def _file_hash(name: str, content: bytes) -> FileHash:
    return FileHash(file=name, sha256=hashlib.sha256(content).hexdigest())
