"""The boundary to files: atomic writes, YAML 1.2, and strict checking that reports everything at once."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import pytest

from skexplore.errors import UserError
from skexplore.files import (
    Must,
    among,
    define,
    parse,
    read_by,
    read_json,
    read_text,
    read_yaml,
    write_atomic,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    rate: float
    steps: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    name: str
    inner: Inner
    sizes: tuple[int, ...] = ()


def names(folder: str) -> list[str]:
    return sorted(path.name for path in Path(folder).iterdir())


def yaml(text: str | bytes) -> Path:
    path = Path("given.yaml")
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("content", ["grün\n", "grün\n".encode()])
def test_a_write_makes_the_folder_and_the_whole_file_readable_by_others(content):
    path = Path("a/b/c.txt")
    write_atomic(path, content)
    assert path.read_bytes() == "grün\n".encode()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert names("a/b") == ["c.txt"]


def test_a_write_replaces_the_old_file_whole():
    path = Path("file.txt")
    path.write_text("a much longer old content")
    write_atomic(path, "new")
    assert path.read_text() == "new"


@pytest.mark.parametrize("stroke", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(monkeypatch, stroke, moment):
    path = Path("folder/file.txt")
    write_atomic(path, "old")

    def strike(*_arguments):
        raise stroke

    monkeypatch.setattr(*((os, "fsync", strike) if moment == "fsync" else (Path, "replace", strike)))
    with pytest.raises(type(stroke)):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert names("folder") == ["file.txt"]


def test_a_folder_that_cannot_be_made_is_the_systems_error():
    Path("file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        write_atomic(Path("file/inside.txt"), "x")
    assert names(".") == ["file"]


def test_yaml_is_version_1_2():
    lines = ["rate: 1e-3", "country: no", "nothing: none", "branch: k3", "switch: on", "octal: 010", "yes: 1"]
    text = "\n".join([*lines, "real: true", "empty: null"])
    assert read_yaml(yaml(text)) == {
        "rate": 0.001,
        "country": "no",
        "nothing": "none",
        "branch": "k3",
        "switch": "on",
        "octal": 10,
        "yes": 1,
        "real": True,
        "empty": None,
    }


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3\n", r"line 3.*duplicate key"),
        (
            "a: !!python/object/apply:os.mkdir [evil]\n",
            r": line 1: tags such as !!python/object/apply:os.mkdir are not allowed$",
        ),
        ("a: 1\nb: !local 3\n", r": line 2: tags such as !local are not allowed$"),
        ("a: !!str 3\n", r": line 1: tags such as !!str are not allowed$"),
        ("!!map {a: 1}\n", r": line 1: tags such as !!map are not allowed$"),
        ("a: ! b\n", r": line 1: tags such as ! are not allowed$"),
        ("a: 1\n" * 36_000, r"180,000 characters; at most 100,000"),
        ("a: !%1b[2J b\n", r": line 1: tags such as .!.x1b.2J. are not allowed$"),
        ("a: [1, 2\n", r": line 2: not valid YAML: "),
        ("a: 1\n---\nb: 2\n", r": line 2: not valid YAML: .*another document"),
        (b"a: \x00\n", r"not valid YAML"),
        (b"\xff\xfe\x00binary\x80", r"not a text file"),
        ("[" * 1000, r"not valid YAML"),
    ],
)
def test_a_damaged_or_dangerous_yaml_is_refused_by_name(text, problem):
    with pytest.raises(UserError, match=r"given\.yaml.*" + problem):
        read_yaml(yaml(text))
    assert not Path("evil").exists()


@pytest.mark.parametrize("reader", [read_text, read_yaml, read_json])
def test_a_missing_file_and_a_folder_are_user_errors(reader):
    with pytest.raises(UserError, match=r"absent: cannot be read \(No such file"):
        reader(Path("absent"))
    with pytest.raises(UserError, match=r"cannot be read \(Is a directory"):
        reader(Path())


@pytest.mark.parametrize(
    ("text", "problem"), [('{"a":\n1,}', "line 2: not valid JSON"), ("[" * 100_000, "not valid JSON")]
)
def test_damaged_json_is_a_user_error(text, problem):
    Path("x.json").write_text(text)
    with pytest.raises(UserError, match=r"x\.json.*" + problem):
        read_json(Path("x.json"))


def test_json_is_read_as_it_is():
    Path("x.json").write_text('{"a": [1, null, 2.5]}')
    assert read_json(Path("x.json")) == {"a": [1, None, 2.5]}


def test_good_data_becomes_the_dataclass():
    data = {"name": "x", "inner": {"rate": 1, "steps": 3}, "sizes": [1, 2]}
    assert parse(Outer, data, "f") == Outer(name="x", inner=Inner(rate=1.0, steps=3), sizes=(1, 2))


def test_all_errors_are_reported_at_once_with_file_and_dotted_path():
    data = {"inner": {"rate": "fast", "steps": 2.5, "extra": 1}, "sizes": [1, True], "other": None}
    with pytest.raises(UserError) as caught:
        parse(Outer, data, "conf.yaml")
    lines = str(caught.value).splitlines()
    places = sorted(line.split(": ")[1] for line in lines)
    assert places == ["inner.extra", "inner.rate", "inner.steps", "name", "other", "sizes.1"]
    assert all(line.startswith("conf.yaml: ") for line in lines)
    assert "conf.yaml: other: unknown key" in lines
    assert "conf.yaml: inner.extra: unknown key" in lines


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rate", "1.0"),
        ("rate", True),
        ("rate", None),
        ("steps", 1.0),
        ("steps", "1"),
        ("steps", False),
        ("steps", [1]),
    ],
)
def test_types_are_not_guessed(field, value):
    with pytest.raises(UserError, match=f"f: inner.{field}: "):
        parse(Outer, {"name": "x", "inner": {"rate": 0.5} | {field: value}}, "f")


@pytest.mark.parametrize("data", [None, [], "text", 3])
def test_what_is_no_mapping_is_refused_at_the_top_level(data):
    with pytest.raises(UserError, match="f: top level: "):
        parse(Outer, data, "f")


@pytest.mark.parametrize("text", ["name: 2020-01-01\n", "name: &a [*a]\n"])
def test_values_that_json_does_not_know_are_refused(text):
    with pytest.raises(UserError, match="f: holds a value that is not plain data"):
        parse(Outer, read_yaml(yaml(text)), "f")


def test_parsing_does_not_change_what_it_was_given():
    data = {"name": "x", "inner": {"rate": 1}}
    before = json.dumps(data)
    parse(Outer, data, "f")
    assert json.dumps(data) == before


# -- definitions


def even(text):
    if len(text) % 2:
        raise UserError(f"{text}: is odd\nand more of it")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    size: Annotated[int, Must("a whole number from 1 to 9", ge=1, le=9)]
    word: Annotated[str, read_by(even)] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    kind: Annotated[str, among(["a", "b"])]
    rate: Annotated[float | None, Must("a number", lambda value: value != 3)] = None
    parts: tuple[Annotated[Part, Must("a mapping such as {size: 3}")], ...] = ()
    free: Annotated[dict[Any, Any], Must("a mapping", min_length=1)] = field(default_factory=dict)


def no_meaning(_):
    return ()


def test_a_definition_becomes_its_dataclass():
    data = {"kind": "a", "rate": 1, "parts": [{"size": 3, "word": "even"}], "free": {1: [None]}}
    made = define(Made, data, "f", no_meaning)
    assert made == Made(kind="a", rate=1.0, parts=(Part(size=3, word="even"),), free={1: [None]})


def test_everything_wrong_with_a_definition_is_said_in_its_own_words_with_lists_from_1():
    parts = [{"size": 3}, {"size": True, "wort": 1}, 4, {"word": "odd"}, None]
    data = {"kind": "c", "rate": None, "parts": parts, "free": {}, "kinds": 1, 7: 8}
    with pytest.raises(UserError) as caught:
        define(Made, data, "f.yaml", lambda _: [("free", "and more")])
    known = "keys: kind, rate, parts, free"
    assert str(caught.value).splitlines() == [
        "f.yaml: parts.2.wort: unknown key (did you mean word?); keys: size, word",
        f"f.yaml: kinds: unknown key (did you mean kind?); {known}",
        f"f.yaml: 7: unknown key; {known}",
        "f.yaml: kind: 'c': must be one of a, b",
        "f.yaml: rate: empty; give a number, or leave the key out",
        "f.yaml: parts.2.size: True: must be a whole number from 1 to 9",
        "f.yaml: parts.3: 4: must be a mapping such as {size: 3}",
        "f.yaml: parts.4.size: missing",
        "f.yaml: parts.4.word: odd: is odd",
        "f.yaml: parts.5: empty; give a mapping such as {size: 3}",
        "f.yaml: free: {}: must be a mapping",
        "f.yaml: free: and more",
    ]


def test_what_is_sound_is_looked_at_further_though_the_rest_is_wrong():
    seen = []
    data = {"kind": 3, "rate": 3, "parts": [{"size": 3}, {"size": 0}], "free": {"x": 1}}
    with pytest.raises(UserError):
        define(Made, data, "f", lambda sound: seen.append(sound) or ())
    assert seen == [{"kind": None, "rate": None, "parts": [{"size": 3}, {"size": None}], "free": {"x": 1}}]
    assert data["kind"] == 3, "what was given is as it was"


def test_a_definition_that_grows_by_aliases_costs_nothing_and_its_errors_are_cut_short():
    grown = ["x", "x"]
    for _ in range(60):
        grown = [grown, grown]
    with pytest.raises(UserError) as caught:
        define(Made, {"kind": grown, "parts": [grown] * 99}, "f", no_meaning)
    lines = str(caught.value).splitlines()
    assert len(lines) == 51
    assert lines[-1] == "f: and 50 more"
    assert all(len(line) < 200 for line in lines)


@pytest.mark.parametrize("data", [None, [], "text", {"\ud800": 1, "kind": "a"}])
def test_what_is_no_definition_is_refused_at_the_top_level(data):
    with pytest.raises(UserError, match="f: top level: "):
        define(Made, data, "f", no_meaning)
