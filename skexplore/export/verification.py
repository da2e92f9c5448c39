"""Whether an exported folder is what it says: compared with what we make of its ``block.json``, then run without us."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor, nn

from skexplore import __version__
from skexplore.arch import (
    arch_id,
    canonical_at_reference,
    cost,
    format_blocks,
    net_id,
    parse_blocks,
)
from skexplore.errors import UserError
from skexplore.export.block_json import (
    CODE_NAME,
    ONNX_NAME,
    SCHEMA,
    WEIGHTS_NAME,
    BlockFile,
    FileHash,
    OnnxFile,
    Place,
    read_block_file,
    stated,
)
from skexplore.export.onnx_file import NoRuntimeError, compare
from skexplore.export.texts import DOCUMENTS, texts, weights_note
from skexplore.nn import Network, build, count, seeded_build
from skexplore.study import TrainSpec

TOLERANCE = 1e-5  # of the largest output; both sides compute in float64, so rounding is far below
TIME_OUT = 300  # seconds for block.py, torch's import included
RUN = f"{CODE_NAME} runs without skexplore"
COUNTED = ("params", "bn_stats", "macs", "activations")  # what fvcore can count; the rest is closed form only

# Runs in its own interpreter. Results go to a file: block.py and the libraries may print what they like.
_DRIVER = """
import inspect, json, logging, sys, types, warnings
sys.modules["skexplore"] = None  # any import of it fails from here on
warnings.simplefilter("ignore")
logging.disable(logging.ERROR)
code, weights, images, result = sys.argv[1:]
import torch
from fvcore.nn import FlopCountAnalysis
from safetensors.torch import load_file, save_file

torch.set_num_threads(1)  # a few small passes: more threads only wait for each other on a busy machine
# the source itself, so that no bytecode is read from or left in the folder
block = types.ModuleType("block")
sys.modules["block"] = block
with open(code, "rb") as file:
    exec(compile(file.read(), code, "exec"), vars(block))
found = {"default": inspect.signature(block.build).parameters["scale"].default}
for scale in ("reference", "proxy"):  # the proxy last: its outputs are compared
    network = block.build(scale).eval()
    side = block.SCALES[scale].resolution
    size = side if isinstance(side, tuple) else (side, side)
    with torch.no_grad():
        counted = FlopCountAnalysis(network, torch.zeros(1, 3, *size)).by_operator()
    found[scale] = {
        "params": sum(p.numel() for p in network.parameters() if p.requires_grad),
        "macs": int(counted["conv"] + counted["linear"]),
    }
network.load_state_dict(load_file(weights))
with torch.no_grad():
    outputs = network.double()(load_file(images)["images"])
save_file({"outputs": outputs.contiguous()}, result + ".safetensors")
with open(result, "w") as file:
    json.dump(found, file)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was compared: its name, whether it holds, and what was found.

    done: False if it could not be checked here: ``ok`` says nothing then, and ``detail`` why.
    """

    name: str
    ok: bool
    detail: str
    done: bool = True


def verify(folder: str | Path, *, run_foreign_code: bool = False) -> list[Check]:
    """Return every check of an exported ``folder``; it is what it says if all are ``ok``.

    Files are compared with their hashes, ids and costs with those of the block, and texts with what this version makes
    of ``block.json``. Only if all of that holds are the networks built, counted by fvcore, and compared with
    ``block.py``, which runs in a process of its own in which skexplore cannot be imported, and with ``block.onnx`` if
    onnxruntime is installed. A ``block.py`` that is not byte for byte what this version writes is run only with
    ``run_foreign_code``. Takes several seconds. Raises ``UserError`` if there is no readable ``block.json``.
    """
    folder = Path(folder)
    block = read_block_file(folder)
    home = folder if folder.is_dir() else folder.parent
    checks = [
        _intact(block),
        *(_file_unchanged(home, file) for file in block.listed),
        *_unlisted(home, block),
        *_definition(block),
    ]
    if all(check.ok for check in checks):
        checks += _as_written(home, block, run_foreign_code=run_foreign_code)
    if all(check.ok for check in checks):
        # what was compared and found equal, not the file, which may be another one by now
        code = (home / CODE_NAME).read_bytes() if run_foreign_code else texts(block)[CODE_NAME].encode()
        return checks + list(_rebuilt(home, block, code))
    return [*checks, _left_out(RUN, "not run, since a check above failed")]


def verdict(checks: Sequence[Check]) -> str:
    """Return in one line what ``checks`` of ``verify`` say, and whether code was executed."""
    failed = [check.name for check in checks if not check.ok]
    left_out = [check.name for check in checks if not check.done]
    executed = any(check.name == RUN and check.done for check in checks)
    ran = f"{CODE_NAME if executed else 'nothing'} was executed"
    if failed:
        return f"NOT verified: {len(failed)} of {len(checks)} checks failed ({', '.join(failed)}); {ran}"
    passed = f"verified: {len(checks) - len(left_out)} checks passed"
    if left_out:
        return f"PARTLY {passed}, {len(left_out)} could not be made ({', '.join(left_out)}); {ran}"
    return f"{passed}; {ran}"


def _left_out(name: str, why: str) -> Check:
    return Check(name=name, ok=True, done=False, detail=why)


def _intact(block: BlockFile) -> Check:
    ok = block.digest == block.own_digest()
    detail = "its digest fits its content" if ok else "its digest does not fit its content: it was altered"
    return Check(name="block.json unchanged", ok=ok, detail=detail)


def _file_unchanged(home: Path, file: FileHash) -> Check:
    name = f"{file.file} unchanged"
    try:
        found = hashlib.sha256((home / file.file).read_bytes()).hexdigest()
    except (OSError, ValueError) as error:  # ValueError: a name that cannot be one
        return Check(
            name=name, ok=False, detail=f"cannot be read ({getattr(error, 'strerror', None) or error})"
        )
    same = found == file.sha256
    other = "" if same else f", block.json says {file.sha256[:12]}..."
    return Check(name=name, ok=same, detail=f"SHA-256 {found[:12]}...{other}")


def _unlisted(home: Path, block: BlockFile) -> Iterator[Check]:
    """Yield a failed check for files that have a meaning in the folder while nothing vouches for them."""
    expected = (CODE_NAME, *(file for file in DOCUMENTS if block.schema > 1))
    listed = {file.file for file in block.listed}
    for name in (*expected, WEIGHTS_NAME, ONNX_NAME):
        if name not in listed and (name in expected or (home / name).exists()):
            detail = "block.json does not list it, so nothing says what it is"
            yield Check(name=f"{name} unchanged", ok=False, detail=detail)


def _as_written(home: Path, block: BlockFile, *, run_foreign_code: bool) -> Iterator[Check]:
    """Compare texts with what this version makes of ``block.json``."""
    by = f"version {block.version}" if block.version else "an older version"
    own, note = texts(block), weights_note(block)
    same = {"weights_note": block.weights_note == note}
    for file in block.files:
        if file.file in DOCUMENTS:
            same[file.file] = (home / file.file).read_bytes() == own[file.file].encode()
    for name, equal in same.items():
        title = f"{name} as written"
        if equal:
            detail = note if name == "weights_note" else "what skexplore makes of block.json"
            yield Check(name=title, ok=True, detail=detail)
        elif (block.version, block.schema) == (__version__, SCHEMA):
            yield Check(name=title, ok=False, detail="not what skexplore makes of block.json: it was altered")
        else:
            yield _left_out(title, f"block.json says that {by} wrote it; not compared with its words")
    if block.weights is not None and not block.weights_sha256:
        yield _left_out("weights of this training", "its record holds no SHA-256 of them")
    elif block.weights is not None:
        yield _same("weights of this training", {"SHA-256": (block.weights.sha256, block.weights_sha256)})
    name = f"{CODE_NAME} as written"
    if (home / CODE_NAME).read_bytes() == own[CODE_NAME].encode():
        yield Check(name=name, ok=True, detail="byte for byte what skexplore writes for this block")
        return
    differs = f"not what this version of skexplore writes for this block: altered, or written by {by}"
    if run_foreign_code:
        yield _left_out(name, f"{differs}; executed all the same, as asked")
    else:
        how = "if you trust where it comes from, --run-foreign-code executes it"
        yield Check(name=name, ok=False, detail=f"{differs}; it was not executed ({how})")


def _definition(block: BlockFile) -> list[Check]:
    """Compare what ``block.json`` says with what its own block gives: ids, and costs in closed form."""
    try:
        blocks = parse_blocks(block.block)
        ids = {
            "canonical": (
                block.canonical,
                format_blocks(canonical_at_reference(blocks, block.reference_body)),
            ),
            "arch_id": (block.arch_id, arch_id(blocks, block.reference_body)),
            "net_id": (block.net_id, net_id(blocks, block.proxy_body)),
            "measurement": (block.provenance.key, _measurement(block)),
        }
        checks = [_same("ids", ids)]
        for name, place in _places(block).items():
            body = block.reference_body if name == "reference" else block.proxy_body
            network: dict[str, tuple[object, object]] = {
                "resolution": (place.resolution, stated(body.resolution)),
                "classes": (place.classes, body.classes),
            }
            network["backbone"] = (place.backbone, body.name)
            own = asdict(cost(blocks, body))
            costs = {key: (getattr(place.cost, key), number) for key, number in own.items()}
            checks += [_same(f"{name} network", network), _same(f"{name} cost, closed form", costs)]
    except UserError as error:
        return [Check(name="definition", ok=False, detail=str(error))]
    return checks


def _measurement(block: BlockFile) -> str:
    return TrainSpec(
        block=block.canonical,
        net_id=block.net_id,
        backbone=block.proxy.backbone,
        recipe=block.recipe,
        split=block.split,
        seed=block.seed,
        reference=block.reference.backbone,
    ).key


def _places(block: BlockFile) -> dict[str, Place]:
    return {"reference": block.reference, "proxy": block.proxy}


def _same(name: str, pairs: Mapping[str, tuple[object, object]]) -> Check:
    """Return the check that both of each pair (stated, found) are equal."""
    wrong = [
        f"{key}: {stated} stated, {found} found" for key, (stated, found) in pairs.items() if stated != found
    ]
    right = ", ".join(f"{key} {_readable(found)}" for key, (_, found) in pairs.items())
    return Check(name=name, ok=not wrong, detail="; ".join(wrong) or right)


def _readable(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _rebuilt(home: Path, block: BlockFile, code: bytes) -> Iterator[Check]:
    """Build the networks here, run ``code`` there, and compare both with ``block.json``."""
    blocks = parse_blocks(block.block)
    for name, place in _places(block).items():
        body = block.reference_body if name == "reference" else block.proxy_body
        counted = count(build(blocks, body, classes=place.classes), place.size)
        pairs = {key: (getattr(place.cost, key), getattr(counted, key)) for key in COUNTED}
        yield _same(f"{name} cost, fvcore", pairs)
    try:
        ours = _network_with_weights(home, block)
    except (UserError, SafetensorError, RuntimeError) as error:
        yield Check(name="weights fit the network", ok=False, detail=_last_line(str(error)))
        return
    if block.onnx is not None:
        yield _onnx(home, block, block.onnx)
    with tempfile.TemporaryDirectory(prefix="skexplore-verify-") as work:
        yield from _compare_code(home, block, code, ours, Path(work))


def _onnx(home: Path, block: BlockFile, file: OnnxFile) -> Check:
    """Run the ONNX file on fixed noise and compare it with the network that it claims to be."""
    name = f"{file.file.file} by onnxruntime"
    body = block.reference_body if file.scale == "reference" else block.proxy_body
    network = seeded_build(parse_blocks(block.block), body, seed=file.seed)
    if file.weights == "trained":
        if block.weights is None or file.scale != "proxy":
            return Check(name=name, ok=False, detail="block.json lists no trained weights for it")
        network.load_state_dict(load((home / block.weights.file).read_bytes()))
    try:
        agreement = compare((home / file.file.file).read_bytes(), network.eval(), body.resolution)
    except NoRuntimeError as error:
        return _left_out(name, f"{error}; only its SHA-256 was compared")
    except UserError as error:
        return Check(name=name, ok=False, detail=str(error))
    what = f"{agreement}, on the {file.scale} with {file.weights} weights"
    return Check(name=name, ok=agreement.ok, detail=what)


def _network_with_weights(home: Path, block: BlockFile) -> Network:
    """Return the proxy with the kept weights, or with seeded ones, in evaluation mode."""
    blocks, body = parse_blocks(block.block), block.proxy_body
    network = seeded_build(blocks, body, seed=block.seed)
    if block.weights is not None:
        network.load_state_dict(load((home / block.weights.file).read_bytes()))
    else:
        # one batch fills BatchNorm's statistics, so that a branch in the wrong place changes the outputs
        with torch.no_grad():
            network.train()(_images(block.proxy).float())
    return network.eval()


def _images(place: Place) -> Tensor:
    """Return fixed noise as (4, 3, height, width), float64."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, 3, *place.size, generator=generator, dtype=torch.float64)


def _compare_code(home: Path, block: BlockFile, code: bytes, ours: nn.Module, work: Path) -> Iterator[Check]:
    (work / CODE_NAME).write_bytes(code)
    images = _images(block.proxy)
    save_file({"images": images}, work / "images.safetensors")
    weights = work / "weights.safetensors"
    if block.weights is None:
        save_file({name: tensor.contiguous() for name, tensor in ours.state_dict().items()}, weights)
    else:
        weights = home / block.weights.file
    failure = _run_code(work / CODE_NAME, weights, work)
    compared: list[Check] = []
    if not failure:
        try:
            compared = list(_compare_results(block, ours, images, work))
        except (OSError, ValueError, TypeError, LookupError, RuntimeError, SafetensorError):
            failure = "ended without a result that can be read"  # foreign code may leave anything
    detail = failure or "executed in a Python process of its own, which built the block at both scales"
    yield Check(name=RUN, ok=not failure, detail=detail)
    yield from compared


def _compare_results(block: BlockFile, ours: nn.Module, images: Tensor, work: Path) -> Iterator[Check]:
    found = json.loads((work / "result.json").read_text(encoding="utf-8"))
    yield _same(f"{CODE_NAME} builds by default", {"scale": (block.scale, found["default"])})
    for scale, place in _places(block).items():
        pairs = {key: (getattr(place.cost, key), found[scale][key]) for key in ("params", "macs")}
        yield _same(f"{CODE_NAME} at the {scale}, fvcore", pairs)
    theirs = load((work / "result.json.safetensors").read_bytes())["outputs"]
    with torch.no_grad():
        yield _outputs(ours.double()(images), theirs, block)


def _run_code(code: Path, weights: Path, work: Path) -> str:
    """Run ``block.py`` in its own interpreter; return what went wrong, or nothing."""
    paths = [code, weights, work / "images.safetensors", work / "result.json"]
    command = [
        sys.executable,
        "-I",
        "-c",
        _DRIVER,
        *(str(path.resolve()) for path in paths),
    ]
    try:
        done = subprocess.run(
            command,
            cwd=work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIME_OUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"not finished after {TIME_OUT} seconds"
    return _last_line(done.stderr) or f"exit status {done.returncode}" if done.returncode else ""


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1].strip() if lines else ""


def _outputs(ours: Tensor, theirs: Tensor, block: BlockFile) -> Check:
    weights = "drawn weights" if block.weights is None else "the kept weights"
    name = "equal outputs"
    if ours.shape != theirs.shape:
        return Check(
            name=name, ok=False, detail=f"shapes {tuple(ours.shape)} here, {tuple(theirs.shape)} there"
        )
    difference, largest = float((ours - theirs).abs().max()), float(ours.abs().max())
    detail = f"largest difference {difference:.1e}, largest output {largest:.2g}"
    detail += f", on {len(ours)} fixed images with {weights}"
    return Check(name=name, ok=difference < TOLERANCE * min(1.0, largest), detail=detail)
