"""A finished trial as a folder that works without us: definition, code, weights and a card."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from torch import Tensor

from skexplore import __version__
from skexplore.arch import (
    Backbone,
    Blocks,
    arch_id,
    blocks_of,
    cost,
    format_blocks,
    net_id,
    parse_blocks,
)
from skexplore.errors import UserError, check_one_of
from skexplore.export.block_json import (
    CODE_NAME,
    EXPORTABLE,
    FILE_NAME,
    ONNX_NAME,
    SCALES,
    SCHEMA,
    WEIGHTS_NAME,
    AnchorErrors,
    BelievedError,
    BlockFile,
    FileHash,
    OnnxFile,
    Place,
    Provenance,
    stated,
)
from skexplore.export.onnx_file import OPSET, onnx_bytes, require as require_onnx
from skexplore.export.texts import texts, weights_note
from skexplore.files import write_atomic
from skexplore.nn import build, seeded_build
from skexplore.study import Record, Study
from skexplore.training import load_weights, weights_file
from skexplore.words import first_of


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
        best = study.best
        if best is None:
            raise UserError(
                f"study {study.spec.name} has no complete trial within its budget, so no {which}; "
                f"{_allowed(study)}"
            )
        return [best] if which == "best" else study.front
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
    return f"complete or stopped trials: {first_of(numbers)}"


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
    files: dict[str, bytes] = {}
    state = None
    kept = weights_file(folder, record.key)
    # a stopped training leaves none; what is kept under its key is of another one, that went on to the end
    if record.status == "complete" and kept.is_file():
        files[WEIGHTS_NAME], state = _checked_weights(kept, record, _proxy(study, record))
    block = _block_file(study, record, scale, files.get(WEIGHTS_NAME))
    if onnx:
        files[ONNX_NAME], written = _onnx(block, state)
        block = replace(block, onnx=written)
    own = {name: text.encode() for name, text in texts(block).items()}
    hashes = [_file_hash(name, content) for name, content in own.items()]
    block = replace(block, code=hashes[0], files=tuple(hashes[1:]))
    return {CODE_NAME: own[CODE_NAME]} | files | own | {FILE_NAME: block.to_json().encode()}


def _onnx(block: BlockFile, state: dict[str, Tensor] | None) -> tuple[bytes, OnnxFile]:
    """Return ``block.onnx`` with what is to be said of it: trained weights if it is the proxy and they are kept."""
    trained = state if block.scale == "proxy" else None
    body = block.proxy_body if block.scale == "proxy" else block.reference_body
    network = seeded_build(parse_blocks(block.block), body, seed=block.seed)
    if trained is not None:
        network.load_state_dict(trained)
    content, agreement = onnx_bytes(network, body.resolution)
    return content, OnnxFile(
        file=_file_hash(ONNX_NAME, content),
        scale=block.scale,
        weights="fresh" if trained is None else "trained",
        seed=block.seed,
        opset=OPSET,
        largest_difference=agreement.largest_difference,
        largest_output=agreement.largest_output,
    )


def _checked_weights(kept: Path, record: Record, body: Backbone) -> tuple[bytes, dict[str, Tensor]]:
    """Return the file that the training of ``record`` left, and what it holds; refuse any other."""
    content, state = load_weights(kept, record.weights_sha256)
    try:
        build(blocks_of(record.block), body).load_state_dict(state)
    except RuntimeError:
        raise UserError(
            f"{kept}: these weights do not fit {record.block} in {body.name}; move the file away to "
            "export without weights"
        ) from None
    return content, state


def _block_file(study: Study, record: Record, scale: str, weights: bytes | None) -> BlockFile:
    """Return what is known before the texts are written: their hashes are not."""
    spec, own = study.spec, study.spec.at_reference(record.block)
    blocks, proxy = own.blocks, _proxy(study, record)
    assert record.val_error is not None
    block = BlockFile(
        schema=SCHEMA,
        block=blocks_of(record.block),
        canonical=format_blocks(blocks),
        arch_id=arch_id(blocks, own.backbone),
        net_id=net_id(blocks, proxy),
        reference=_place(blocks, own.backbone),
        proxy=_place(blocks, proxy),
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
        code=FileHash(file=CODE_NAME, sha256=""),
        weights=None if weights is None else _file_hash(WEIGHTS_NAME, weights),
        weights_note="",
        scale=scale,
        version=__version__,
        anchors=tuple(_anchor_errors(study.anchors)),
        weights_sha256=record.weights_sha256,
        believed=_believed(study, record),
        may_be_best=study.answer.may_be_best if study.answer else (),
    )
    return replace(block, weights_note=weights_note(block))


def _proxy(study: Study, record: Record) -> Backbone:
    """Return the network around the blocks that was trained."""
    return study.spec.proxy(study.spec.at_reference(record.block), record.setting.backbone).backbone


def _believed(study: Study, record: Record) -> BelievedError | None:
    """Return what is thought of the error of a record's block, None of a trial that was stopped early."""
    found = study.estimates.get(record.block)
    if found is None or record.status != "complete":
        return None
    blocks = (*study.answer.blocks, *study.answer.anchors) if study.answer else ()
    said = next((each for each in blocks if each.block == record.block), None)
    return BelievedError(
        **asdict(found),
        beats_paper=said.beats_paper if said else None,
        beats_plain=said.beats_plain if said else None,
    )


def _anchor_errors(anchors: Iterable[Record]) -> Iterator[AnchorErrors]:
    """Yield the published blocks among ``anchors`` (a user's own are none) with the errors of their trainings."""
    errors: dict[str, list[float]] = {}
    for record in anchors:
        if record.status == "complete" and record.val_error is not None and record.sampler != "user":
            errors.setdefault(record.block, []).append(record.val_error)
    for block, found in sorted(errors.items()):
        yield AnchorErrors(block=block, trainings=len(found), lowest=min(found), highest=max(found))


def _place(blocks: Blocks, body: Backbone) -> Place:
    return Place(
        backbone=body.name,
        resolution=stated(body.resolution),
        classes=body.classes,
        cost=cost(blocks, body),
    )


def _file_hash(name: str, content: bytes) -> FileHash:
    return FileHash(file=name, sha256=hashlib.sha256(content).hexdigest())
