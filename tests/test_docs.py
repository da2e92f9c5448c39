"""README, CONTRIBUTING and docs/: short enough, every link leads somewhere, every command can be typed."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.main import get_command

import skexplore
from skexplore.cli.app import app

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("docs/*.md"))]
NAMES = {*get_command(app).commands}
LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")


def commands_of(page):
    """Return the commands of a page: in its sentences in backticks, in its blocks of code on lines of their own."""
    sentences, code = [], []
    for number, part in enumerate(page.read_text().split("```")):
        (code if number % 2 else sentences).append(part)
    inline = re.findall(r"`([^`]+)`", "".join(sentences).replace("\n", " "))
    found = [text for text in inline if text.startswith("skexplore ")]
    # in the middle of a sentence a command goes without its first word
    found += [f"skexplore {text}" for text in inline if text.split()[0] in NAMES and " " in text]
    found += re.findall(r"^(skexplore .+)$", "".join(code), re.MULTILINE)
    return [command.split(" #")[0].strip() for command in found]


COMMANDS = sorted({(page.name, command) for page in PAGES for command in commands_of(page)})


def anchors_of(page):
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def test_the_readme_is_read_in_a_few_minutes():
    assert len((ROOT / "README.md").read_text().split()) <= 1300


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_link_leads_somewhere(page):
    for link in LINK.findall(page.read_text()):
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link


def test_there_are_commands_in_the_pages():
    assert {"README.md", "commands.md", "searching.md"} <= {page for page, _ in COMMANDS}


@pytest.mark.parametrize(("page", "command"), COMMANDS, ids=lambda text: text)
def test_every_command_can_be_typed(page, command):
    """Its group and name are there, its options are known, and their values are of the right kind."""
    found, words = get_command(app), [word for word in shlex.split(command)[1:] if word != "..."]
    if words[0].startswith("--"):
        assert words[0] in {option for each in found.params for option in each.opts} | {"--help"}
        return
    while getattr(found, "commands", None):
        assert words[0] in found.commands
        found = found.commands[words.pop(0)]
    try:
        found.make_context(found.name, words)
    except typer.BadParameter as error:
        if type(error).__name__ != "MissingParameter":  # a sentence may leave out what everybody gives
            raise


def test_a_command_with_an_option_that_is_not_there_would_be_seen():
    with pytest.raises(Exception, match="No such option: --pictures"):
        get_command(app).commands["report"].make_context("report", ["STUDY", "--pictures"])


def test_pages_make_a_site_whose_links_hold(tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mkdocs",
            "build",
            "--strict",
            "-f",
            str(ROOT / ".mkdocs.yml"),
            "-d",
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    built = {path.parent.name for path in tmp_path.glob("*/index.html")}
    assert built >= {path.stem for path in ROOT.glob("docs/*.md")} - {"index"}


def test_the_readmes_lines_put_a_block_into_a_network(command, tmp_path, monkeypatch):
    import torch
    import torchvision

    folder = tmp_path / "block"
    assert command("export", str(ROOT / "studies/first-search"), "--out", str(folder))[0] == 0
    (lines,) = re.findall(
        r"```python\n(from block import .*?)```", (ROOT / "README.md").read_text(), re.DOTALL
    )
    assert len(lines.strip().splitlines()) == 4  # with an empty one
    monkeypatch.syspath_prepend(folder)
    network = torchvision.models.resnext50_32x4d(num_classes=10)
    exec(lines, {"network": network})
    assert type(network.layer3[0].conv2).__name__ == "SKConv"
    with torch.no_grad():
        assert network.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 10)


@pytest.mark.parametrize("path", sorted(ROOT.glob("docs/*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_is_code_that_is_told_nothing_yet(path):
    """Notebooks are run by ``.ci/run``; here: no output is committed, and what they call is there."""
    cells = json.loads(path.read_text())["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert code
    assert all(not cell.get("outputs") for cell in cells)
    for source in code:
        for node in ast.walk(ast.parse(source)):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.value, ast.Name)
                and node.value.id == "skexplore"
            ):
                assert node.attr in skexplore.__all__, node.attr
