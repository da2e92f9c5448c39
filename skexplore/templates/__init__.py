"""The one door to jinja2 and markupsafe: a template and values give text; and how text stays text in Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

TEMPLATES = Path(__file__).parent


def render(template: str, **context: object) -> str:
    """Return the text of ``template`` (a file in ``skexplore/templates``) with the values of ``context``.

    Values are HTML-escaped in ``*.html.j2`` only. A name that the template uses and ``context`` lacks raises
    ``jinja2.UndefinedError``.
    """
    return environment().get_template(template).render(**context)


def environment(finalize: Callable[[Any], Any] | None = None) -> Environment:
    """Return the environment of all templates; ``finalize`` is applied to every value that is printed."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def template_source(name: str) -> str:
    """Return a file of ``skexplore/templates`` as it is."""
    return (TEMPLATES / name).read_text(encoding="utf-8")


def markdown_text(value: Any) -> Any:
    """Return text on one line in which no character is markup of Markdown or HTML; what is no text as it is."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    line = re.sub(r"([\\`*_\[\]|#~])", r"\\\1", _line(value))
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def markdown_code(value: str) -> Markup:
    """Return a code span that stays one span, also in a table, whatever ``value`` holds."""
    line = _line(str(value)).replace("|", "\\|").replace("`", "'")
    return Markup(f"`{line}`")  # not HTML: the mark says that Markdown's escapes are done


def _line(text: str) -> str:
    """Return ``text`` on one line, without what would steer a terminal or turn the direction of writing."""
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())


__all__ = [
    "Environment", "Markup", "environment", "escape", "markdown_code", "markdown_text", "render", "template_source",
]  # fmt: skip
