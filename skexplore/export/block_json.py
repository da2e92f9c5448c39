"""``block.json``, the exported block as data, and the one way to read a BLOCK wherever one is accepted."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from skexplore.arch import Backbone, Blocks, Cost, arch_id, get_backbone, parse_blocks
from skexplore.errors import UserError
from skexplore.files import parse, read_json
from skexplore.study import Recipe, Split

FILE_NAME = "block.json"
SCHEMA = 2
READABLE = (1, 2)
NEW_IN_2 = ("scale", "files", "onnx")  # what exports of schema 1 do not say
SCALES = ("reference", "proxy")
MAX_STDIN = 1_000_000  # characters; a block.json has a few thousand


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A network that holds the block: backbone, side of the input in pixels, classes, and its cost."""

    backbone: str
    resolution: int
    classes: int
    cost: Cost


@dataclass(frozen=True, slots=True, kw_only=True)
class FileHash:
    """A file beside ``block.json`` (name only) and the SHA-256 of its bytes."""

    file: str
    sha256: str

    def __post_init__(self) -> None:
        if Path(self.file).name != self.file:
            raise UserError(f"{self.file!r}: must be the name of a file in the same folder")


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxFile:
    """The network of ``scale`` as an ONNX file, run by onnxruntime and compared with torch when it was written.

    weights: ``trained``, or ``fresh``: drawn by ``seed``, as ``torch.manual_seed(seed)`` and ``block.build(scale)``
    draw them. largest_difference, largest_output: of the logits on fixed noise, both in float32.
    """

    file: FileHash
    scale: str
    weights: str
    seed: int
    opset: int
    largest_difference: float
    largest_output: float

    def __post_init__(self) -> None:
        _one_of("scale", self.scale, SCALES)
        _one_of("weights", self.weights, ("trained", "fresh"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The trial that the block comes from. command: as typed. environment: versions and machine."""

    study: str
    trial: int
    origin: str
    status: str
    key: str
    command: str
    environment: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockFile:
    """What ``block.json`` holds.

    block: notation; canonical: its canonical form at the reference. val_error: fraction 0..1 of the
    validation images that one training of the proxy gets wrong. epochs: trained, of ``recipe.epochs``.
    weights: None if the study kept none, then ``weights_note`` says how to get them. scale: the network that
    ``block.build()`` builds unless told otherwise, and that of ``onnx``, None if no such file was asked for. files:
    the other files of the folder. digest: SHA-256 of everything else in the file.
    """

    schema: int
    block: str
    canonical: str
    arch_id: str
    net_id: str
    reference: Place
    proxy: Place
    val_error: float
    seed: int
    epochs: int
    recipe: Recipe
    split: Split
    provenance: Provenance
    code: FileHash
    weights: FileHash | None
    weights_note: str
    scale: str = "reference"
    onnx: OnnxFile | None = None
    files: tuple[FileHash, ...] = ()
    digest: str = ""

    def __post_init__(self) -> None:
        _one_of("scale", self.scale, SCALES)
        if not 0 <= self.val_error <= 1:
            raise UserError(f"val_error {self.val_error}: must be a fraction from 0 to 1")
        if self.schema == 1 and (self.scale != "reference" or self.onnx or self.files):
            raise UserError(f"schema 1 has no {', '.join(NEW_IN_2)}")

    @property
    def listed(self) -> tuple[FileHash, ...]:
        """Every file of the folder whose bytes are known."""
        by_role = [self.code, self.weights, self.onnx.file if self.onnx else None]
        return (*(file for file in by_role if file is not None), *self.files)

    @property
    def proxy_body(self) -> Backbone:
        """The backbone that the block was trained in, with the classes of its data set."""
        return replace(get_backbone(self.proxy.backbone), classes=self.split.classes)

    def own_digest(self) -> str:
        """Return the digest that the content asks for; another one in ``digest`` means a later change."""
        content = self._content() | {"digest": ""}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> str:
        """Return the text of the file; the same content always gives the same text."""
        content = self._content() | {"digest": self.own_digest()}
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

    def _content(self) -> dict[str, Any]:
        left_out = NEW_IN_2 if self.schema == 1 else ()
        return {name: value for name, value in asdict(self).items() if name not in left_out}


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise UserError(f"{name} {value!r}: must be one of {', '.join(allowed)}")


def read_block_file(path: Path) -> BlockFile:
    """Return the content of a ``block.json`` or of the folder that holds one.

    Raises ``UserError`` if there is none, or for everything in it that is not as ``BlockFile`` says.
    """
    file = path / FILE_NAME if path.is_dir() else path
    if not file.is_file():
        if not path.exists():
            raise UserError(f"{path}: does not exist; give a folder that `skexplore export` wrote")
        inner = sorted(found.parent.name for found in path.glob(f"*/{FILE_NAME}"))
        hint = (
            f"one of its folders: {', '.join(inner[:5])}"
            if inner
            else "a folder that `skexplore export` wrote"
        )
        raise UserError(f"{path}: holds no {FILE_NAME}; give {hint}")
    return _checked(read_json(file), str(file))


def read_block(text: str) -> Blocks:
    """Return the block that a user gave: notation, the path of a ``block.json`` or its folder, or ``-``.

    ``-`` reads notation or the content of a ``block.json`` from standard input. What can be read as notation
    is notation; write ``./NAME`` for a folder called like a block. Raises ``UserError``.
    """
    if text == "-":
        return _read_stdin()
    if _is_path(text):
        return load_block(text)
    try:
        return parse_blocks(text)
    except UserError:
        if _exists(text):
            return load_block(text)
        raise


def load_block(path: str | Path) -> Blocks:
    """Return the block of the ``block.json`` at ``path`` (the file, its folder, or ``-`` for standard input).

    Raises ``UserError`` if there is none or its content is not what an export writes.
    """
    if str(path) == "-":
        return _read_stdin()
    place = Path(path).expanduser()
    if not _exists(str(place)):
        raise UserError(
            f"{path}: no such file or folder; expected a {FILE_NAME} or the folder that holds one"
        )
    file = read_block_file(place)
    return _blocks(file, str(path))


def _read_stdin() -> Blocks:
    try:
        text = sys.stdin.read(MAX_STDIN + 1)
    except UnicodeDecodeError:
        raise UserError("standard input: not text (UTF-8 expected)") from None
    if len(text) > MAX_STDIN:
        raise UserError(f"standard input: longer than {MAX_STDIN} characters; expected one block")
    if not text.lstrip().startswith("{"):
        return parse_blocks(text.strip())
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"standard input: line {error.lineno}: not valid JSON ({error.msg})") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or nested too deeply
        raise UserError(f"standard input: not valid JSON ({error})") from None
    return _blocks(_checked(data, "standard input"), "standard input")


def _checked(data: Any, source: str) -> BlockFile:
    if not isinstance(data, dict) or "schema" not in data:
        raise UserError(f"{source}: not a {FILE_NAME} that skexplore export wrote")
    # the version first: a later schema would otherwise only be called a list of unknown keys
    if data["schema"] not in READABLE or isinstance(data["schema"], bool):
        raise UserError(
            f"{source}: schema {data['schema']!r}: this version of skexplore reads schema "
            f"{' and '.join(map(str, READABLE))}"
        )
    return parse(BlockFile, data, source)


def _blocks(file: BlockFile, source: str) -> Blocks:
    try:
        blocks = parse_blocks(file.block)
        expected = arch_id(blocks)
    except UserError as error:
        raise UserError(f"{source}: block: {error}") from None
    if expected != file.arch_id:
        raise UserError(
            f"{source}: block {file.block!r} has the arch_id {expected}, the file says {file.arch_id}: it "
            "was changed after the export; export it again, or give the notation itself"
        )
    return blocks


def _is_path(text: str) -> bool:
    """Whether ``text`` can only be meant as a path; a block's own slashes never come first."""
    return text.endswith((".json", "/")) or text.startswith((".", "/", "~"))


def _exists(text: str) -> bool:
    try:
        return bool(text.strip()) and Path(text).exists()
    except (OSError, ValueError):  # too long for a name, or a null byte
        return False
