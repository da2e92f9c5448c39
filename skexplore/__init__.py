"""Neural architecture search and ablation explorer for Selective Kernel (SK) blocks.

In Python: ``cost("k3+k3d2", "sknet50")``, ``build("k3+k3d2", "sknet29")``, ``Space.load("sk-paper")``,
``load_block("block.json")``, ``place("k3+k3d2")``, ``search(budget_gflops=4.5)``, ``load_study(name).trials()``,
the modules ``SKConv`` and ``SKUnit``, and ``with record_attention(model) as attention``. Each says in its
docstring what it takes and returns.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

# eagerly: the module of that name would else be found in its place; it is light
from skexplore.cost import cost

if TYPE_CHECKING:
    from skexplore.blockfile import load_block
    from skexplore.launch import search
    from skexplore.layers import SKConv, SKUnit, record_attention
    from skexplore.model import build, build_system
    from skexplore.published import place
    from skexplore.space import Space
    from skexplore.store import load_study
    from skexplore.systems import system_cost

__version__ = "0.1.0"
__all__ = [
    "SKConv",
    "SKUnit",
    "Space",
    "build",
    "build_system",
    "cost",
    "load_block",
    "load_study",
    "place",
    "record_attention",
    "search",
    "system_cost",
]

# where a name lives; imported when first asked for, so that `import skexplore` loads no torch
_HOMES = {
    "SKConv": "layers",
    "SKUnit": "layers",
    "Space": "space",
    "build": "model",
    "build_system": "model",
    "load_block": "blockfile",
    "load_study": "store",
    "place": "published",
    "record_attention": "layers",
    "search": "launch",
    "system_cost": "systems",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'skexplore' has no attribute {name!r}")
    return getattr(import_module(f"skexplore.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
