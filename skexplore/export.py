"""A finished trial as a folder that works without us: definition, code, weights and a card."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from skexplore.backbone import REFERENCE, Backbone, canonical_at_reference
from skexplore.block import Blocks, format_blocks, parse_blocks
from skexplore.blockfile import FILE_NAME, SCHEMA, BlockFile, FileHash, Place, Provenance
from skexplore.card import card, fusion, size_line
from skexplore.cost import arch_id, cost, net_id
from skexplore.errors import UserError
from skexplore.files import write_atomic
from skexplore.model import build
from skexplore.record import Record, Study
from skexplore.render import render
from skexplore.weights import load_weights, weights_file

CODE_NAME = "block.py"
WEIGHTS_NAME = "weights.safetensors"
CARD_NAME = "README.md"
EXPORTABLE = ("complete", "stopped")
MAX_LISTED = 20  # trial numbers in an error


def chosen(study: Study, which: str) -> list[Record]:
    """Return the records meant by ``which``: ``best``, ``front`` (by macs) or the number of a search trial.

    ``best`` and ``front`` are complete and within the budget; a trial by number may also be stopped or over
    the budget. Raises ``UserError`` that says which are allowed.
    """
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


def export_block(study: Study, record: Record, folder: Path, out: Path) -> list[Path]:
    """Write the block of ``record`` to the folder ``out`` and return the files written.

    ``folder`` is the study's own: weights kept there are copied. A new ``out`` appears whole or not at all;
    an earlier export is replaced file by file. Raises ``UserError`` if the record holds no finished
    training, if ``out`` is in use for something else, or if it cannot be written.
    """
    if record.status not in EXPORTABLE or record.val_error is None:
        raise UserError(
            f"trial {record.number} is {record.status}: only complete and stopped trials are exported"
        )
    _refuse_foreign(out)
    contents = _contents(study, record, record.val_error, weights_file(folder, record.key))
    try:
        if out.is_dir():
            # before the rest: weights of an earlier export must not stand beside another block
            if WEIGHTS_NAME not in contents:
                (out / WEIGHTS_NAME).unlink(missing_ok=True)
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


def _contents(study: Study, record: Record, val_error: float, kept: Path) -> dict[str, bytes]:
    """Return the files by name; ``block.json`` is last, so that it never describes files not yet there."""
    blocks = parse_blocks(record.block)
    body = study.spec.body
    files: dict[str, bytes] = {CODE_NAME: render("block.py.j2", **_code_context(blocks, body)).encode()}
    if kept.is_file():
        files[WEIGHTS_NAME] = _checked_weights(kept, blocks, body)
    block = _block_file(study, record, val_error, files)
    files[CARD_NAME] = card(study, block).encode()
    files[FILE_NAME] = block.to_json().encode()
    return files


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


def _block_file(study: Study, record: Record, val_error: float, files: dict[str, bytes]) -> BlockFile:
    blocks, spec = parse_blocks(record.block), study.spec
    kept = WEIGHTS_NAME in files
    note = (
        f"weights of the proxy after {record.epochs} epochs"
        if kept
        else "the study did not keep them; repeat the training with this recipe and seed"
    )
    return BlockFile(
        schema=SCHEMA,
        block=record.block,
        canonical=format_blocks(canonical_at_reference(blocks)),
        arch_id=arch_id(blocks),
        net_id=net_id(blocks, spec.body),
        reference=_place(blocks, REFERENCE),
        proxy=_place(blocks, spec.body),
        val_error=val_error,
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
        weights_note=note,
    )


def _place(blocks: Blocks, body: Backbone) -> Place:
    return Place(
        backbone=body.name, resolution=body.resolution, classes=body.classes, cost=cost(blocks, body)
    )


def _file_hash(name: str, content: bytes) -> FileHash:
    return FileHash(file=name, sha256=hashlib.sha256(content).hexdigest())


# block.py


def _code_context(blocks: Blocks, body: Backbone) -> dict[str, object]:
    placed = REFERENCE.place(blocks)
    selecting = [block.selects for block in placed]
    scales = {"reference": _code_scale(blocks, REFERENCE), "proxy": _code_scale(blocks, body)}
    attention = "all" if all(selecting) else "some" if any(selecting) else "none"
    return scales | {
        "title": f"block {format_blocks(blocks)}" if len(blocks) == 1 else "blocks, one for each stage,",
        "about": _about(blocks),
        "summary": [
            f"{name:9}  {size_line(blocks, b)}" for name, b in (("reference", REFERENCE), ("proxy", body))
        ],
        "attention": attention,
        "many": any(len(block.branches) > 1 for block in placed),
    }


def _code_scale(blocks: Blocks, body: Backbone) -> dict[str, object]:
    """Return one scale's definition: literal numbers, and a name for each list of branches."""
    placed = body.place(blocks)
    prefix = "REFERENCE" if body == REFERENCE else "PROXY"
    tied = len({block.branches for block in placed}) == 1
    names = [f"{prefix}_BRANCHES" if tied else f"{prefix}_BRANCHES_{i}" for i in range(1, len(placed) + 1)]
    lists = {name: block.branches for name, block in zip(names, placed, strict=True)}
    stages = [
        {
            "depth": stage.depth,
            "width": stage.width,
            "out": stage.out,
            "stride": stage.stride,
            "branches": name,
            "dim": block.dim(stage.width) if block.selects else None,
        }
        for stage, block, name in zip(body.stages, placed, names, strict=True)
    ]
    what = "SKNet-50 of the paper" if body == REFERENCE else "the small network that was trained"
    return {
        "comment": f"{body.name}: {what} (cardinality {body.cardinality})",
        "resolution": body.resolution,
        "classes": body.classes,
        "stem": body.stem,
        "stages": stages,
        "branch_lists": [{"name": name, "branches": branches} for name, branches in lists.items()],
    }


def _about(blocks: Blocks) -> list[str]:
    """Return one line for each branch, stage by stage if stages differ, and one for how they are fused."""
    lines: list[str] = []
    for number, block in enumerate(blocks, start=1):
        if len(blocks) > 1:
            lines += ["", f"Stage {number}: {block}", ""]
        for branch in block.branches:
            side = branch.receptive_field
            dilation = f", dilation {branch.dilation}" if branch.dilation > 1 else ""
            size = f"{branch.kernel}x{branch.kernel}"
            lines.append(f"  - {size} convolution{dilation}: sees {side} x {side} pixels")
        lines.append(f"  - {fusion(block)}")
    return lines[1:] if lines[0] == "" else lines
