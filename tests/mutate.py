"""Make small wrong changes in one room and see whether its tests notice: ``make mutate ROOM=arch``.

``python tests/mutate.py ROOM [--count 10] [--seed 0] [TESTS ...]`` copies the tree to a temporary folder, makes
``count`` changes there, one at a time, and runs the room's tests (or TESTS) on each, the quick ones first. The
working tree is never edited. The same seed and the same code give the same changes.

How to read the table: ``killed`` is good: a test failed, which is named (``by time``: the tests did not end).
``SURVIVED`` is a change that no test noticed, with file, line, and the code before and after. Either nobody can see
it (an equivalent change: a bound that is never reached, a hint for speed), or a test is missing. Both end with exit
code 0: a survivor is a question, not a failure. Exit code 2: the tests fail although nothing was changed.
"""

# ruff: noqa: T201

from __future__ import annotations

import argparse
import ast
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
# where a room is tested, unless it is tests/ROOM alone
TESTS = {"cli": ["tests/commands"], "plan": ["tests/plan", "tests/commands"]}
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "__pycache__", ".*_cache", ".hypothesis", "build", "dist")
PAIRS = [(ast.Lt, ast.LtE), (ast.Gt, ast.GtE), (ast.Eq, ast.NotEq), (ast.Is, ast.IsNot)]
PAIRS += [(ast.Add, ast.Sub), (ast.Mult, ast.FloorDiv), (ast.And, ast.Or)]
PAIRS += [(ast.In, ast.NotIn)]  # codespell:ignore
SWAPPED = {a: b for pair in PAIRS for a, b in (pair, pair[::-1])} | {ast.Div: ast.Mult}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}
NOT_CODE = ("annotation", "returns", "decorator_list")


def nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield what can be changed: no annotations, no decorators, nothing in f-strings (no positions there)."""
    for field, value in ast.iter_fields(tree):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and field not in NOT_CODE and not isinstance(child, ast.JoinedStr):
                yield child
                yield from nodes(child)


def wrong(node: ast.AST) -> str:
    """Return the source of ``node`` made wrong; empty where there is nothing to change."""
    match node:
        case ast.Compare(ops=[op]) if type(op) in SWAPPED:
            new = ast.Compare(node.left, [SWAPPED[type(op)]()], node.comparators)
        case ast.BinOp(op=op) if type(op) in SWAPPED:
            new = ast.BinOp(node.left, SWAPPED[type(op)](), node.right)
        case ast.BoolOp(op=op):
            new = ast.BoolOp(SWAPPED[type(op)](), node.values)
        case ast.UnaryOp(op=ast.Not()):
            new = node.operand
        case ast.Constant(value=bool() | int() | float()):
            new = ast.Constant(not node.value if isinstance(node.value, bool) else node.value + 1)
        case ast.Call(func=ast.Name(id=name)) if name in NAMES:
            new = ast.Call(ast.Name(NAMES[name]), node.args, node.keywords)
        case ast.Call(func=ast.Name(id="sorted")):
            new = ast.Call(ast.Name("list"), [ast.Call(ast.Name("reversed"), [node], [])], [])
        case ast.comprehension(ifs=[_]):
            new = ast.Constant(True)
        case ast.Return(value=ast.expr()) if ast.unparse(node) != "return None":
            return "return None"
        case ast.List(elts=[_, _, *_], ctx=ast.Load()):
            new = ast.List(node.elts[:-1], ast.Load())
        case _:
            return ""
    return f"({ast.unparse(new)})"


def changes(file: Path) -> Iterator[tuple[Path, int, str, str, bytes]]:
    """Yield (file, line, code before, code after, whole text after) of every change that can be made."""
    text = file.read_bytes()
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for node in nodes(ast.parse(text)):
        if after := wrong(node):
            at = node.ifs[0] if isinstance(node, ast.comprehension) else node  # it has no position of its own
            begin, end = starts[at.lineno - 1] + at.col_offset, starts[at.end_lineno - 1] + at.end_col_offset
            yield file, at.lineno, text[begin:end].decode(), after, text[:begin] + after.encode() + text[end:]


def verdict(folder: Path, tests: list[str], limit: float | None) -> str:
    """Run the tests of the copy in ``folder``; return what became of the change."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", *tests]
    environment = os.environ | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    places = {"cwd": folder, "env": environment, "capture_output": True, "text": True}
    for marked in ("not slow", "slow"):
        try:
            done = subprocess.run([*command, "-m", marked], check=False, timeout=limit, **places)
        except subprocess.TimeoutExpired:
            return "killed by time"
        if done.returncode not in (0, 5):  # 5: there are no such tests
            found = re.search(r"^(?:FAILED|ERROR) (?:\S*/)?(\S+)", done.stdout, re.MULTILINE)
            return f"killed by {found[1]}" if found else "killed"
    return "SURVIVED"


def main() -> None:
    """Print one line for each change, then the number of survivors."""
    parser = argparse.ArgumentParser(description="Make small wrong changes and see whether tests notice.")
    parser.add_argument("room")
    parser.add_argument("tests", nargs="*")
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    tests = given.tests or TESTS.get(given.room, [f"tests/{given.room}"])
    with tempfile.TemporaryDirectory() as temporary:
        folder = shutil.copytree(ROOT, Path(temporary) / "tree", ignore=LEFT_OUT)
        files = sorted((folder / "skexplore" / given.room).rglob("*.py"))
        possible = [change for file in files for change in changes(file)]
        if not possible:
            parser.error(f"skexplore/{given.room}: there is no such room")
        begun = time.monotonic()
        if (before_any := verdict(folder, tests, None)) != "SURVIVED":
            parser.error(f"{' '.join(tests)}: must pass before anything is changed, but was {before_any}")
        limit, told = 60 + 2 * (time.monotonic() - begun), []
        chosen = random.Random(given.seed).sample(possible, min(given.count, len(possible)))
        for file, line, before, after, text in chosen:
            right = file.read_bytes()
            file.write_bytes(text)
            own = [str(path) for test in tests for path in (folder / test).glob(f"test_{file.stem}.py")]
            told.append(
                verdict(folder, [*own, *tests], limit)
            )  # its own tests are likely the first to notice
            file.write_bytes(right)
            short = [" ".join(code.split())[:100] for code in (before, after)]
            print(f"{told[-1]}: {file.relative_to(folder)}:{line}  {short[0]}  ->  {short[1]}", flush=True)
    print(
        f"{given.room}: {told.count('SURVIVED')} of {len(told)} survived ({len(possible)} changes possible)"
    )


if __name__ == "__main__":
    main()
