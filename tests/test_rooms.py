"""The rooms as a newcomer is told of them: doors, docstrings, floors, and a folder of tests for each."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "skexplore"
ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.pyi"))  # a stub is a room's door
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
LAYERS = next(contract["layers"] for contract in CONTRACTS if contract["type"] == "layers")
FLOORS = [layer.split(" | ") for layer in LAYERS]


@cache
def stub(room: str) -> frozenset[str]:
    """Return the names that ``room`` hands to the others; the root's are those of a user."""
    tree = ast.parse((PACKAGE / room / "__init__.pyi").read_text())
    return frozenset(
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    )


# where what no contract of pyproject.toml holds may be imported: rooms and files
DOORS = {
    "ConfigSpace": {"bench/peers.py"},
    "PIL": {"data", "fit/images.py"},
    "filelock": {"fit/run.py", "study/live.py", "study/reading.py"},
    "tqdm": {"engine/bar.py"},
    "jaxtyping": {"nn", "training/batches.py"},
    "mlflow": {"tracking/trackers.py"},
    "trackio": {"tracking/trackers.py"},
    "wandb": {"tracking/trackers.py"},
    "lazy_loader": {"__init__.py"},  # of the rooms
    "markupsafe": {"templates"},
    "numpy": {
        "analysis/answer.py",
        "analysis/contrasts.py",
        "analysis/dunnett.py",
        "analysis/reliability.py",
        "bench/recorded.py",
        "data",
        "engine/model_sampler.py",
        "fit",
        "study/belief.py",
        "study/images.py",
        "surrogate",
        "training",
    },
    "pandas": {"analysis", "report", "study/study.py", "study/table.py"},
    "platformdirs": {"data/cache.py"},
    "safetensors": {"training/weights.py", "export/verification.py"},
    "scipy": {"analysis", "data/releases.py"},
    "sqlalchemy": {"study/database.py", "study/live.py", "study/reading.py"},
    "smac": {"bench/peers.py"},
    "statsmodels": {"analysis/contrasts.py", "analysis/dunnett.py"},
}


@cache
def all_imports(room: str) -> frozenset[tuple[Path, str, str]]:
    """Return (file, module, name) of all that ``room`` imports; the name is empty for a module."""
    found: set[tuple[Path, str, str]] = set()
    for file in (PACKAGE / room).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file}: imports are written in full"
                found |= {(file, node.module or "", alias.name) for alias in node.names}
            elif isinstance(node, ast.Import):
                found |= {(file, alias.name, "") for alias in node.names}
    return frozenset(found)


def across(room: str) -> set[tuple[str, str, str]]:
    """Return (file, module, name) of all that ``room`` imports of skexplore from outside itself."""
    return {
        (file.name, module, name)
        for file, module, name in all_imports(room)
        if module.split(".")[0] == "skexplore" and module.split(".")[1:2] != [room]
    }


@pytest.mark.parametrize("package", DOORS)
def test_a_dependency_is_imported_at_its_doors_alone(package):
    doors = DOORS[package]
    files = {
        file.relative_to(PACKAGE) for file, module, _ in all_imports("") if module.split(".")[0] == package
    }
    used = {min({at.as_posix(), at.parts[0], at.name} & doors, default=at.as_posix()) for at in files}
    assert used == doors


def test_rooms_are_those_of_the_floors():
    assert {*ROOMS, "cli"} <= {room for floor in FLOORS for room in floor}


@pytest.mark.parametrize("room", [*ROOMS, "cli"])
def test_rooms_meet_at_their_doors(room):
    for file, module, name in across(room):
        at = f"{room}/{file}: {module} {name}"
        parts = module.split(".")
        assert module != "skexplore" or name == "__version__", f"{at}: the root's names are for users"
        assert name, f"{at}: written as from ROOM import NAME"
        assert not name.startswith("_") or name == "__version__", at
        if parts[1:] and parts[1] in ROOMS:
            assert len(parts) == 2, f"{at}: into another room's modules"
            assert name in stub(parts[1]), at


@pytest.mark.parametrize("room", ROOMS)
def test_a_door_holds_what_others_use_and_nothing_else(room):
    module = importlib.import_module(f"skexplore.{room}")
    used = {name for other in [*ROOMS, "cli"] for _, at, name in across(other) if at == f"skexplore.{room}"}
    root = ast.parse((PACKAGE / "__init__.pyi").read_text()).body
    doors = [node for node in root if isinstance(node, ast.ImportFrom) and node.module == room]
    asked = {alias.name for node in doors for alias in node.names}
    assert stub(room) == used | asked
    for name in stub(room):
        getattr(module, name)
    modules = {path.stem for path in (PACKAGE / room).iterdir()}
    assert not stub(room) & modules, "a name of a module hides it, or is hidden, by the order of imports"


@pytest.mark.parametrize("room", [*ROOMS, "cli"])
def test_a_room_imports_what_its_docstring_says(room):
    text = " ".join(
        (ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text())) or "").split()
    )
    (said,) = re.findall(r"May import: (.*?)[.;]", text)
    named = set(re.findall(r"``(\w+)``", said))
    floor_of = {each: number for number, floor in enumerate(FLOORS) for each in floor}
    assert named <= set(floor_of), room
    if "below" in said:
        lowest = max((floor_of[each] for each in named), default=floor_of[room])
        named |= {each for each, floor in floor_of.items() if floor > lowest}
    assert {module.split(".")[1] for _, module, _ in across(room) if module != "skexplore"} <= named


def test_what_is_data_loads_no_torch_and_the_ground_floor_no_pandas():
    """Import every module of these rooms, one room after the other, in one fresh interpreter."""
    code = """
import importlib, sys
from pathlib import Path
for room in ("arch", "paper", "space", "study", "plan", "surrogate", "analysis"):
    for file in sorted(Path("skexplore", room).glob("[a-z]*.py")):
        importlib.import_module(f"skexplore.{room}.{file.stem}")
    heavy = {"torch", "torchvision"}
    if room in ("arch", "paper", "space"):
        heavy |= {"pandas", "optuna", "plotly", "scipy", "statsmodels"}
    assert not heavy & set(sys.modules), (room, heavy & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_tests_mirror_the_rooms():
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}
    assert folders == {
        *ROOMS,
        "commands",
        "adding",
    }  # whole commands are cli's tests; adding: of every kind of part
