"""``block.json``, the exported block as data, and the one way to read a BLOCK wherever one is accepted."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any

from skexplore.arch import (
    REFERENCE,
    Backbone,
    Blocks,
    Cost,
    Resolution,
    arch_id,
    blocks_of,
    get_backbone,
    get_reference,
    parse_blocks,
    resolution_of,
    resolution_text,
    says_body,
    stand_in,
    whole_size,
)
from skexplore.errors import UserError
from skexplore.files import PlainName, among, parse, read_json
from skexplore.paper import named_blocks
from skexplore.study import Origin, Recipe, Split

FILE_NAME = "block.json"
CODE_NAME, WEIGHTS_NAME, ONNX_NAME = "block.py", "weights.safetensors", "block.onnx"
SCHEMA = 6
NEW_IN = {
    2: ("scale", "files", "onnx"),
    3: ("version", "anchors", "weights_sha256"),
    4: ("believed",),
    5: ("may_be_best",),
    6: (),  # a user's own images, in the split
}
READABLE = (1, *NEW_IN)
SCALES = ("reference", "proxy")
EXPORTABLE = ("complete", "stopped")
Scale = Annotated[str, among(SCALES)]
Exportable = Annotated[str, among(EXPORTABLE)]
Weights = Annotated[str, among(("trained", "fresh"))]
MAX_STDIN = 1_000_000  # characters; a block.json has a few thousand


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A network that holds the block: backbone, its input in pixels (a side, or ``480x640``), classes, and its cost."""

    backbone: str
    resolution: int | str
    classes: int
    cost: Cost

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the input."""
        return whole_size(resolution_of(str(self.resolution), "resolution"))

    @property
    def pixels(self) -> str:
        """The size of the input in words."""
        return " x ".join(map(str, self.size))


def stated(resolution: Resolution) -> int | str:
    """Return a resolution as ``Place`` has it."""
    return resolution if isinstance(resolution, int) else resolution_text(resolution)


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
    scale: Scale
    weights: Weights
    seed: int
    opset: int
    largest_difference: float
    largest_output: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """The trial that the block comes from. command: as typed. environment: versions and machine."""

    study: str
    trial: int
    origin: Origin
    status: Exportable
    key: PlainName
    command: str
    environment: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnchorErrors:
    """Validation errors of a block that the study trained beside its search, as fractions 0..1."""

    block: str
    trainings: int
    lowest: float
    highest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BelievedError:
    """What the true error of the block is thought to be, a fraction 0..1, from ``trainings`` of it.

    low, high: 90 % interval; beats_paper, beats_plain: the chances that the block is better than the paper's and than
    plain K3. None where the study knows too little.
    """

    estimate: float
    trainings: int
    low: float | None
    high: float | None
    beats_paper: float | None
    beats_plain: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockFile:
    """What ``block.json`` holds.

    block: notation; canonical: its canonical form at the reference. val_error: fraction 0..1 of the validation images
    that one training of the proxy gets wrong. epochs: trained, of ``recipe.epochs``. weights: None if the study kept
    none, then ``weights_note`` says how to get them. scale: the network that ``block.build()`` builds unless told
    otherwise, and that of ``onnx``, None if no such file was asked for. files: the other files of the folder. version:
    the skexplore that wrote the folder, empty before schema 3. weights_sha256: of the file of weights by the training's
    own record, empty if it does not say. believed: None before schema 4. may_be_best: the fewest blocks of the search
    that hold its best with a chance of 95 %, empty where too little is known. digest: SHA-256 of everything else.
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
    scale: Scale = "reference"
    onnx: OnnxFile | None = None
    files: tuple[FileHash, ...] = ()
    version: str = ""
    anchors: tuple[AnchorErrors, ...] = ()
    weights_sha256: str = ""
    believed: BelievedError | None = None
    may_be_best: tuple[str, ...] = ()
    digest: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.val_error <= 1:
            raise UserError(f"val_error {self.val_error}: must be a fraction from 0 to 1")
        if later := [name for name in self._absent if getattr(self, name) != _DEFAULTS[name]]:
            raise UserError(f"schema {self.schema} has no {', '.join(later)}")

    @property
    def _absent(self) -> list[str]:
        """Fields that came with a later schema than the file's."""
        return [name for schema, names in NEW_IN.items() if schema > self.schema for name in names]

    @property
    def listed(self) -> tuple[FileHash, ...]:
        """Every file of the folder whose bytes are known."""
        by_role = [self.code, self.weights, self.onnx.file if self.onnx else None]
        return (*(file for file in by_role if file is not None), *self.files)

    @property
    def proxy_body(self) -> Backbone:
        """The backbone that the block was trained in, as it stands for the reference, with its data set's classes."""
        proxy = stand_in(get_backbone(self.proxy.backbone), self.reference_body)
        return self.split.around(proxy)

    @property
    def reference_body(self) -> Backbone:
        """The backbone for which the block is written."""
        return get_reference(self.reference.backbone)

    def own_digest(self) -> str:
        """Return the digest that the content asks for; another one in ``digest`` means a later change."""
        content = self._content() | {"digest": ""}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> str:
        """Return the text of the file; the same content always gives the same text."""
        content = self._content() | {"digest": self.own_digest()}
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

    def _content(self) -> dict[str, Any]:
        content = asdict(self) | {"recipe": self.recipe.stored, "split": self.split.stored}
        return {name: value for name, value in content.items() if name not in self._absent}


_DEFAULTS = {field.name: field.default for field in fields(BlockFile)}


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


def read_block(text: str, reference: Backbone = REFERENCE) -> Blocks:
    """Return the block that a user gave: notation, a row of Table 6 or 7, the path of a ``block.json``, or ``-``.

    A row goes by its name in the paper, such as ``K3+K5 sum``. The path may be that of the file's folder. ``-`` reads
    notation or the content of a ``block.json`` from standard input. What can be read as notation is notation; write
    ``./NAME`` for a folder called like a block. Raises ``UserError``, also for a file whose block is written for
    another network than ``reference``: there its numbers mean something else.
    """
    if text == "-":
        return _read_stdin(reference)
    if _is_path(text):
        return load_block(text, reference)
    try:
        return named_blocks(text)
    except UserError:
        if _exists(text):
            return load_block(text, reference)
        if says_body(text):
            raise UserError(
                f"{text}: names the network around its blocks; here give {blocks_of(text)!r} with --reference "
                f"{text.rpartition(' ')[2]}"
            ) from None
        raise


def read_choice(text: str, reference: Backbone = REFERENCE) -> Blocks | str:
    """Return what a user gave where a space may decide the body too: ``BLOCKS in BODY`` as it is, all else read."""
    if says_body(text) and not (_is_path(text) or _exists(text)):
        return text
    return read_block(text, reference)


def load_block(path: str | Path, reference: Backbone | None = None) -> Blocks:
    """Return the block of the ``block.json`` at ``path`` (the file, its folder, or ``-`` for standard input).

    reference: the network for which it must be written, None for any. Raises ``UserError`` if there is none or its
    content is not what an export writes.
    """
    if str(path) == "-":
        return _read_stdin(reference)
    place = Path(path).expanduser()
    if not _exists(str(place)):
        raise UserError(
            f"{path}: no such file or folder; expected a {FILE_NAME} or the folder that holds one"
        )
    file = read_block_file(place)
    return _blocks(file, str(path), reference)


def _read_stdin(reference: Backbone | None) -> Blocks:
    try:
        text = sys.stdin.read(MAX_STDIN + 1)
    except UnicodeDecodeError:
        raise UserError("standard input: not text (UTF-8 expected)") from None
    if len(text) > MAX_STDIN:
        raise UserError(f"standard input: longer than {MAX_STDIN} characters; expected one block")
    if not text.lstrip().startswith("{"):
        return named_blocks(text)
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"standard input: line {error.lineno}: not valid JSON ({error.msg})") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or nested too deeply
        raise UserError(f"standard input: not valid JSON ({error})") from None
    return _blocks(_checked(data, "standard input"), "standard input", reference)


def _checked(data: Any, source: str) -> BlockFile:
    if not isinstance(data, dict) or "schema" not in data:
        raise UserError(f"{source}: not a {FILE_NAME} that skexplore export wrote")
    # the version first: a later schema would otherwise only be called a list of unknown keys
    if data["schema"] not in READABLE or isinstance(data["schema"], bool):
        raise UserError(
            f"{source}: schema {data['schema']!r}: this version of skexplore reads schema "
            f"{', '.join(map(str, READABLE))}"
        )
    return parse(BlockFile, data, source)


def _blocks(file: BlockFile, source: str, reference: Backbone | None) -> Blocks:
    if reference is not None and file.reference_body != reference:
        raise UserError(
            f"{source}: its block is written for {file.reference.backbone}, not for {reference.name}: give --reference "
            f"{file.reference.backbone}"
        )
    try:
        blocks = parse_blocks(file.block)
        expected = arch_id(blocks, file.reference_body)
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
