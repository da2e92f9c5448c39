"""The one door to jinja2: a template of ``skexplore/templates`` and values give text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

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


__all__ = ["Environment", "environment", "render", "template_source"]
