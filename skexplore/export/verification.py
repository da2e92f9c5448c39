"""Whether an exported folder is what it says: rebuilt from ``block.json`` here, and run without us there."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save_file
from torch import Tensor, nn

from skexplore.arch import (
    REFERENCE,
    arch_id,
    canonical_at_reference,
    cost,
    format_blocks,
    net_id,
    parse_blocks,
)
from skexplore.errors import UserError
from skexplore.export.block_json import BlockFile, FileHash, OnnxFile, Place, read_block_file
from skexplore.export.onnx_file import NoRuntimeError, compare
from skexplore.nn import Network, build, count, seeded_build
from skexplore.study import TrainSpec

TOLERANCE = 1e-5  # of the largest output; both sides compute in float64, so rounding is far below
TIME_OUT = 300  # seconds for block.py, torch's import included
BY_ROLE = ("weights.safetensors", "block.onnx")  # names that mean something even where block.json lists none
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
    with torch.no_grad():
        counted = FlopCountAnalysis(network, torch.zeros(1, 3, side, side)).by_operator()
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

    done: False if it could not be checked here; ``ok`` says nothing then, and ``detail`` why.
    """

    name: str
    ok: bool
    detail: str
    done: bool = True


def verify(folder: Path) -> list[Check]:
    """Return every check of an exported ``folder``; it is what it says if all are ``ok``.

    The block is rebuilt from ``block.json`` and compared with the ids, the costs at both scales and fvcore's
    count. ``block.py`` runs in a separate interpreter in which skexplore cannot be imported; its parameters,
    fvcore's count of it and its outputs must equal ours, and those of ``block.onnx`` if there is one and onnxruntime
    is installed. None of it is done once a file was altered. Takes several seconds. Raises ``UserError`` if
    ``folder`` holds no readable ``block.json``.
    """
    block = read_block_file(folder)
    home = folder if folder.is_dir() else folder.parent
    checks = [
        _intact(block),
        *(_file_unchanged(home, file) for file in block.listed),
        *_unlisted(home, block),
    ]
    if block.weights is None:
        checks.append(Check(name="weights", ok=True, detail=f"none here: {block.weights_note}"))
    checks += _definition(block)
    if all(check.ok for check in checks):
        return checks + list(_rebuilt(home, block))
    detail = "not run: the checks above must hold first"
    return [*checks, Check(name="network rebuilt and block.py run", ok=False, detail=detail)]


def _intact(block: BlockFile) -> Check:
    ok = block.digest == block.own_digest()
    detail = (
        "digest as written by the export" if ok else "the digest does not fit the content: it was changed"
    )
    return Check(name="block.json unchanged", ok=ok, detail=detail)


def _file_unchanged(home: Path, file: FileHash) -> Check:
    name = f"{file.file} unchanged"
    try:
        found = hashlib.sha256((home / file.file).read_bytes()).hexdigest()
    except (OSError, ValueError) as error:  # ValueError: a name that cannot be one
        return Check(
            name=name, ok=False, detail=f"cannot be read ({getattr(error, 'strerror', None) or error})"
        )
    if found == file.sha256:
        return Check(name=name, ok=True, detail=f"sha256 {found[:12]}...")
    return Check(name=name, ok=False, detail=f"sha256 {found[:12]}..., block.json says {file.sha256[:12]}...")


def _unlisted(home: Path, block: BlockFile) -> Iterator[Check]:
    """Yield a failed check for weights or a network that nothing vouches for."""
    listed = {file.file for file in block.listed}
    for name in BY_ROLE:
        if name not in listed and (home / name).exists():
            detail = "is here, but block.json does not list it: nothing says what it is"
            yield Check(name=f"{name} unchanged", ok=False, detail=detail)


def _definition(block: BlockFile) -> list[Check]:
    """Compare what ``block.json`` says with what its own block gives: ids, and costs in closed form."""
    try:
        blocks = parse_blocks(block.block)
        ids = {
            "canonical": (block.canonical, format_blocks(canonical_at_reference(blocks))),
            "arch_id": (block.arch_id, arch_id(blocks)),
            "net_id": (block.net_id, net_id(blocks, block.proxy_body)),
            "measurement": (block.provenance.key, _measurement(block)),
        }
        checks = [_same("ids", ids)]
        for name, place in _places(block).items():
            body = REFERENCE if name == "reference" else block.proxy_body
            network = {key: (getattr(place, key), getattr(body, key)) for key in ("resolution", "classes")}
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


def _rebuilt(home: Path, block: BlockFile) -> Iterator[Check]:
    """Build the networks here, run ``block.py`` there, and compare both with ``block.json``."""
    blocks = parse_blocks(block.block)
    for name, place in _places(block).items():
        network = build(blocks, place.backbone, classes=place.classes)
        counted = count(network, place.resolution)
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
        yield from _compare_code(home, block, ours, Path(work))


def _onnx(home: Path, block: BlockFile, file: OnnxFile) -> Check:
    """Run the ONNX file on fixed noise and compare it with the network that it claims to be."""
    name = f"{file.file.file} by onnxruntime"
    body = REFERENCE if file.scale == "reference" else block.proxy_body
    network = seeded_build(parse_blocks(block.block), body, seed=file.seed)
    if file.weights == "trained":
        if block.weights is None or file.scale != "proxy":
            return Check(name=name, ok=False, detail="block.json lists no trained weights for it")
        network.load_state_dict(load((home / block.weights.file).read_bytes()))
    try:
        agreement = compare((home / file.file.file).read_bytes(), network.eval(), body.resolution)
    except NoRuntimeError as error:
        return Check(name=name, ok=True, done=False, detail=f"{error}; its bytes are those of the export")
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
    """Return fixed noise as (4, 3, resolution, resolution), float64."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, 3, place.resolution, place.resolution, generator=generator, dtype=torch.float64)


def _compare_code(home: Path, block: BlockFile, ours: nn.Module, work: Path) -> Iterator[Check]:
    images = _images(block.proxy)
    save_file({"images": images}, work / "images.safetensors")
    weights = work / "weights.safetensors"
    if block.weights is None:
        save_file({name: tensor.contiguous() for name, tensor in ours.state_dict().items()}, weights)
    else:
        weights = home / block.weights.file
    failure = _run_code(home / block.code.file, weights, work)
    name = f"{block.code.file} runs without skexplore"
    yield Check(name=name, ok=not failure, detail=failure or "built at both scales in a clean interpreter")
    if failure:
        return
    found = json.loads((work / "result.json").read_text(encoding="utf-8"))
    yield _same(f"{block.code.file} builds by default", {"scale": (block.scale, found["default"])})
    for scale, place in _places(block).items():
        pairs = {key: (getattr(place.cost, key), found[scale][key]) for key in ("params", "macs")}
        yield _same(f"{block.code.file} at the {scale}, fvcore", pairs)
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
    weights = "seeded weights" if block.weights is None else "the kept weights"
    name = "equal outputs"
    if ours.shape != theirs.shape:
        return Check(
            name=name, ok=False, detail=f"shapes {tuple(ours.shape)} here, {tuple(theirs.shape)} there"
        )
    difference, largest = float((ours - theirs).abs().max()), float(ours.abs().max())
    detail = f"largest difference {difference:.1e}, largest output {largest:.2g}"
    detail += f", on {len(ours)} fixed images with {weights}"
    return Check(name=name, ok=difference < TOLERANCE * min(1.0, largest), detail=detail)
