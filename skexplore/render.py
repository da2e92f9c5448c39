"""The one door to jinja2: a template of ``skexplore/templates`` and values give text."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def render(template: str, **context: object) -> str:
    """Return the text of ``template`` (a file in ``skexplore/templates``) with the values of ``context``.

    Values are HTML-escaped in ``*.html.j2`` only. A name that the template uses and ``context`` lacks raises
    ``jinja2.UndefinedError``.
    """
    return _environment().get_template(template).render(**context)


def _is_html(name: str | None) -> bool:
    return name is not None and name.endswith(".html.j2")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=_is_html,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
