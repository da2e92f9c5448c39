"""The boundary to files: atomic writes, strict YAML, and one place where outside data is checked."""

from __future__ import annotations

import json
import os
import re
import reprlib
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast, get_args, get_origin, get_type_hints

from pydantic import (
    AfterValidator,
    Field,
    GetCoreSchemaHandler,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    with_config,
)
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import no_info_wrap_validator_function
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent

from skexplore.errors import UserError, did_you_mean

T = TypeVar("T")
MAX_YAML = 100_000  # characters; a longer definition is a mistake, and would be read for many seconds
MAX_DEPTH = 20
MAX_SHOWN = 50  # problems of one file

Problem = tuple[str, str]  # a dotted path, and what is wrong there


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write ``content`` (text as UTF-8) so that ``path`` is either the old file or the whole new one.

    The parent folder is created. Raises ``OSError`` as the system does (disk full, no permission); the
    unfinished temporary file is removed then.
    """
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)  # mkstemp makes files private; results are to be shared
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_text(path: Path) -> str:
    """Return the UTF-8 text of ``path``; a missing, unreadable or binary file is a ``UserError``."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path}: not a text file (UTF-8 expected)") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


class _TagError(MarkedYAMLError):
    """A tag in a file: valid YAML, but not allowed here."""


def read_yaml(path: Path) -> Any:
    """Return the plain data of a YAML 1.2 file; duplicate keys and tags are refused (``UserError``)."""
    text = read_text(path)
    if len(text) > MAX_YAML:
        raise UserError(f"{path}: {len(text):,} characters; at most {MAX_YAML:,} are read")
    parser = YAML(typ="safe", pure=True)
    try:
        depth = 0
        for event in parser.parse(text):
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            if depth > MAX_DEPTH:  # found here before the parser has spent many seconds on it
                raise MarkedYAMLError(problem="nested too deeply", problem_mark=event.start_mark)
            if getattr(event, "tag", None):  # the core ones too: !!str would turn a number into text
                tag = str(event.tag).replace("tag:yaml.org,2002:", "!!")[:60]
                tag = tag if tag.isprintable() else ascii(tag)  # %1b in a tag is an escape character
                raise _TagError(problem=f"tags such as {tag} are not allowed", problem_mark=event.start_mark)
        data = parser.load(text)
    except (YAMLError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{path}: line {mark.line + 1}: " if mark is not None else f"{path}: "
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        problem = problem.split(" with value")[0]  # of a duplicate key it names the wrong ones
        kind = "" if isinstance(error, _TagError) else "not valid YAML: "
        raise UserError(f"{place}{kind}{problem}") from None
    except RecursionError:
        raise UserError(f"{path}: not valid YAML: nested too deeply") from None
    return data


def read_json(path: Path) -> Any:
    """Return the data of a JSON file; anything else is a ``UserError``."""
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: line {error.lineno}: not valid JSON ({error.msg})") from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or nested too deeply
        raise UserError(f"{path}: not valid JSON ({error})") from None


def _plain(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._-]*", value):
        raise UserError(f"{value[:60]!r}: must be letters, digits, '.', '_' and '-' alone")
    return value


PlainName = Annotated[str, AfterValidator(_plain)]  # what may become the name of a file


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    with_config({"extra": "forbid", "strict": True})(kind)
    return TypeAdapter(kind)


def parse(kind: type[T], data: Any, source: str) -> T:
    """Check plain ``data`` against the dataclass ``kind``, strictly and without unknown keys.

    Returns the instance. Raises ``UserError`` that lists every error as ``source: dotted.path: problem``.
    """
    try:
        text = json.dumps(data)
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(f"{source}: holds a value that is not plain data ({error})") from None
    try:
        checked: T = _adapter(cast("Any", kind)).validate_json(text)
    except ValidationError as error:
        lines = []
        for item in error.errors():
            place = ".".join(str(part) for part in item["loc"]) or "top level"
            message = item["msg"].removeprefix("Value error, ")
            if item["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
                message = "unknown key"
            lines.append(f"{source}: {place}: {message}")
        raise UserError("\n".join(lines)) from None
    return checked


# -- definitions, which people write by hand


class _Short(reprlib.Repr):
    """Like ``repr``, but short whatever the value is."""

    def repr_int(self, x: int, level: int) -> str:
        # Python refuses to print a number of thousands of digits
        return f"a number of {x.bit_length()} bits" if x.bit_length() > 64 else super().repr_int(x, level)


_short = _Short()
_short.maxlevel, _short.maxstring, _short.maxother = 2, 60, 60
quoted = _short.repr


def shown(value: object) -> str:
    """Return a value from outside for a message: short, and without what would steer a terminal."""
    return value if isinstance(value, str) and value.isprintable() and len(value) <= 60 else quoted(value)


class Must:
    """What a field must be: its type, pydantic's ``limits`` and ``test``, and that in ``words``.

    Written as ``Annotated[int, Must("a whole number from 1 to 9", ge=1, le=9)]``; no type is guessed from another.
    """

    def __init__(
        self, words: str | Callable[[], str], test: Callable[[Any], bool] = lambda _: True, **limits: Any
    ) -> None:
        self._words, self._test, self._limits = words, test, limits

    def __get_pydantic_core_schema__(self, kind: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        strict = True if {kind, *get_args(kind)} & {bool, float, int, str} else None
        inner = handler.generate_schema(Annotated[kind, Field(strict=strict, **self._limits)])
        return no_info_wrap_validator_function(self._check, inner)

    def _check(self, value: Any, inner: ValidatorFunctionWrapHandler) -> Any:
        try:
            if value is not None and self._test(found := inner(value)):
                return found
        except ValidationError as error:
            if all(item["loc"] for item in error.errors(include_url=False)):
                raise  # what is wrong is inside, and has its own words
        words = self._words if isinstance(self._words, str) else self._words()
        raise PydanticCustomError(_MUST, "{given}: must be {words}", {"given": quoted(value), "words": words})


def among(allowed: Collection[str], *more: str, what: str = "one of") -> Must:
    """Return the ``Must`` of a text that is one of ``allowed``, as they are when it is read, or of ``more``."""
    return Must(
        lambda: f"{what} {', '.join(filter(None, [*allowed, *more]))}",
        lambda value: value in allowed or value in more,
    )


def read_by(reader: Callable[[str], object]) -> AfterValidator:
    """Return the check of a text that ``reader`` must not refuse; what it says is the message."""

    def check(text: str) -> str:
        reader(text)
        return text

    return AfterValidator(check)


@cache
def _definition(kind: Any) -> TypeAdapter[Any]:
    with_config({"extra": "forbid"})(kind)
    return TypeAdapter(kind)


def define(
    kind: type[T], data: Any, source: str, meaning: Callable[[dict[Any, Any]], Iterable[Problem]]
) -> T:
    """Return what the plain ``data`` of a definition describe: an instance of the dataclass ``kind``.

    ``meaning`` yields what is wrong beyond types and keys; it is given the data with None wherever those are wrong.
    Raises ``UserError`` that lists everything wrong as ``source: dotted.path: problem``, lists counted from 1.
    """
    if not isinstance(data, dict):
        known = ", ".join(_fields(kind, ()))
        raise UserError(f"{source}: top level: must be a mapping with {known}")
    problems: list[Problem] = []
    sound: Any = data
    try:
        made: T = _definition(cast("Any", kind)).validate_python(data)
    except ValidationError as error:
        found = error.errors(include_url=False)
        for item in sorted(found, key=lambda item: item["type"] not in _UNKNOWN):
            place = tuple(part for part in item["loc"] if part != "[key]")
            if not place:  # a key that is no text at all
                raise UserError(f"{source}: top level: {item['msg']}") from None
            problems.append((_dotted(data, place), _text(kind, place, item)))
            sound = _without(sound, place[:-1] if "[key]" in item["loc"] else place)
    problems += meaning(sound)
    if problems:
        more = [f"{source}: and {len(problems) - MAX_SHOWN} more"] if len(problems) > MAX_SHOWN else []
        lines = [f"{source}: {place}: {problem}" for place, problem in problems[:MAX_SHOWN]]
        raise UserError("\n".join(lines + more))
    return made


_MUST = "must"
_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden", "invalid_key")
_TYPES = {
    "string": "text",
    "dict": "a mapping",
    "mapping": "a mapping",
    "dataclass": "a mapping",
    "list": "a list",
    "tuple": "a list",
}


def _dotted(data: Any, place: Sequence[Any]) -> str:
    """Return the place of a value as it is written in messages, items of lists counted from 1."""
    parts = []
    for part in place:
        parts.append(str(part + 1) if isinstance(data, list) else shown(part))
        data = data.get(part) if isinstance(data, dict) else data[part] if isinstance(data, list) else None
    return ".".join(parts)


def _text(kind: Any, place: Sequence[Any], item: Any) -> str:
    """Return what is wrong in words."""
    *above, key = place
    parent = _fields(kind, above)
    if item["type"] in _UNKNOWN:
        return f"unknown key{did_you_mean(shown(key), parent)}; keys: {', '.join(parent)}"
    if "[key]" in item["loc"]:
        return "this key must be text"
    about = item.get("ctx", {})
    wanted = about["words"] if item["type"] == _MUST else _TYPES.get(item["type"].removesuffix("_type"))
    if wanted and item["input"] is None:
        optional = key in parent and (parent[key].default, parent[key].default_factory) != (MISSING, MISSING)
        return f"empty; give {wanted}{', or leave the key out' if optional else ''}"
    if wanted:
        return f"{about.get('given', shown(item['input']))}: must be {wanted}"
    return (
        "missing" if item["type"] == "missing" else item["msg"].removeprefix("Value error, ").splitlines()[0]
    )


def _fields(kind: Any, place: Iterable[Any]) -> dict[str, Any]:
    """Return the fields of the mapping at ``place`` of a definition of ``kind``, none if its keys are free."""
    for part in place:
        if is_dataclass(kind):
            kind = get_type_hints(kind)[part]
        else:  # a list or a tuple of one kind, or a mapping to one
            kind = get_args(kind)[1 if issubclass(get_origin(kind), Mapping) else 0]
    return {field.name: field for field in fields(kind)} if is_dataclass(kind) else {}


def _without(data: Any, place: Sequence[Any]) -> Any:
    """Return ``data`` with None at ``place``, if there is anything."""
    if not place:
        return None
    key, *rest = place
    if isinstance(data, dict):
        return {**data, key: _without(data[key], rest)} if key in data else data
    return [*data[:key], _without(data[key], rest), *data[key + 1 :]] if isinstance(data, list) else None
