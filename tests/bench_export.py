"""How fast an exported ``block.py`` trains beside skexplore's own network of the same block.

Run it by hand on a machine that does nothing else: python tests/bench_export.py --out reports/bench/export.json
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from types import ModuleType

import torch

from skexplore.arch import get_backbone, parse_blocks
from skexplore.export.block_json import SCHEMA
from skexplore.export.code import code
from skexplore.nn import build, environment, speed_up

PROXY, REFERENCE = "4x4d-1111-c32", "sknet50"
SCALES = {
    "proxy": (PROXY, 64, 32),
    "reference": (REFERENCE, 2, 224),
}  # network, images of a batch, their side
LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
STEPS = 8  # of each, after the first


def exported(text: str) -> ModuleType:
    """Return the module whose source is ``text``, as a user imports it."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "exported_block.py").write_text(text, encoding="utf-8")
        sys.path.insert(0, folder)
        sys.modules.pop("exported_block", None)
        import exported_block

        sys.path.remove(folder)
    return exported_block


def ratios(block: str, scale: str, layout: str) -> dict[str, float]:
    """Return the time of a training step of ``block.py`` over that of ``build`` and of what a training uses."""
    name, batch, side = SCALES[scale]
    text = code(parse_blocks(block), get_backbone(PROXY), scale, schema=SCHEMA)
    networks = {
        "block.py": exported(text).build(scale),
        "build": build(block, name),
        "speed_up": speed_up(build(block, name)),
    }
    images = torch.randn(batch, 3, side, side).to(memory_format=LAYOUTS[layout])
    times: dict[str, list[float]] = {each: [] for each in networks}
    for own in networks.values():
        own.to(memory_format=LAYOUTS[layout])
    for _ in range(STEPS + 1):
        for each, own in networks.items():  # by turns
            start = time.process_time()
            own(images).square().mean().backward()
            times[each].append(time.process_time() - start)
    mine = times.pop("block.py")
    return {
        each: round(statistics.median(a / b for a, b in zip(mine[1:], own[1:], strict=True)), 3)
        for each, own in times.items()
    }


def main() -> None:
    """Measure, print, and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out = parser.parse_args().out
    torch.set_num_threads(1)
    found = {
        f"{block} {scale} {layout}": ratios(block, scale, layout)
        for block in ("k3+k3d2", "k5g128+k7g128/r4")
        for scale in SCALES
        for layout in LAYOUTS
    }
    print(json.dumps(found, indent=2))
    out.write_text(json.dumps({"times": found, "environment": environment()}) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
