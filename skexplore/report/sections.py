"""The sections of a report: each is one file ``templates/KIND/NN-ID.j2``, found by its name.

A file sets ``link``, its words in the navigation of the page, where neighbours of the same words are one entry, and has
the macros ``html`` and ``md``, or one of them. Numbers give the order; a file without a number comes last.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from skexplore.templates import Environment, Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section as a report takes it. text: HTML or Markdown, empty if it is not shown."""

    id: str
    link: str
    text: Markup


def sections(env: Environment, kind: str, form: str, values: Mapping[str, Any]) -> Iterator[Section]:
    """Return the sections of a kind of report; form: the macro that is called, ``html`` or ``md``."""
    for name in env.list_templates(filter_func=lambda each: fnmatchcase(each, f"{kind}/*.j2")):
        called = re.findall(r"/\d*-?([^/]+)\.j2$", name)[0]
        module = env.get_template(name).make_module(dict(values))
        text = Markup(getattr(module, form, str)())  # the environment has escaped what it printed
        yield Section(id=called, link=getattr(module, "link", called), text=text)
