"""The boundary to files: atomic writes, strict YAML, and one place where outside data is checked."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

from pydantic import AfterValidator, TypeAdapter, ValidationError, with_config
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent

from skexplore.errors import UserError

T = TypeVar("T")
MAX_YAML = 100_000  # characters; a longer definition is a mistake, and would be read for many seconds
MAX_DEPTH = 20


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


def one_of(allowed: Collection[str], *more: str) -> AfterValidator:
    """Return the mark of a text field (in ``Annotated``) that ``parse`` accepts only with one of these values."""

    def check(value: str) -> str:
        if value not in allowed and value not in more:  # looked up late: a registry may have got an entry
            raise UserError(f"{value[:60]!r}: must be one of {', '.join([*allowed, *more])}")
        return value

    return AfterValidator(check)


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
