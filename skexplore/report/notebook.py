"""A study as a notebook shows it: what it is, what it found in a sentence, its front in small and as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from skexplore.analysis import answer_words, counters, design_of, effects, effects_table, records_of, trust
from skexplore.errors import UserError
from skexplore.report.figures.course import Over
from skexplore.report.figures.front import Size
from skexplore.report.overview import HEIGHT, WIDTH, front_picture
from skexplore.report.plots import course_figure, pareto_figure
from skexplore.report.write import FILTERS, html_environment
from skexplore.study import Study, compare_specs

Rows = list[dict[str, Any]]


def pareto(study: Study, x: Size, beside: Sequence[Study]) -> go.Figure:
    """Return the Pareto plot with the fronts of studies ``beside``; ``UserError`` if they cannot be compared."""
    return pareto_figure(study, x, _comparable(study, beside))


def course(study: Study, x: Over, beside: Sequence[Study]) -> go.Figure:
    """Return the course of a search and those of studies ``beside``; ``UserError`` if they cannot be compared."""
    return course_figure(study, x, _comparable(study, beside))


def _comparable(study: Study, beside: Sequence[Study]) -> Sequence[Study]:
    for other in beside:
        if other.spec.ablation is not None:
            raise UserError(
                f"{other.spec.name} is an ablation: it has no front and no course to stand beside one"
            )
        if refusals := compare_specs(study, other).refusals:
            raise UserError(
                f"{other.spec.name} cannot be drawn beside {study.spec.name}: {' '.join(refusals)}"
            )
    return beside


def study_html(study: Study) -> str:
    """Return a study as a piece of HTML that stands by itself: no script, no style but its own."""
    if study.spec.ablation is not None:
        said, rows, picture = [study.spec.ablation.description], _variants(study), {}
    elif study.spec.searches:
        said, rows, picture = _said(study), _front(study), front_picture(_points(study))
    else:
        said, rows, picture = [], _blocks(study), {}
    return (
        html_environment()
        .get_template("notebook.html.j2")
        .render(
            study=study,
            counts=counters(study) if study.spec.searches else None,
            said=said,
            rows=rows,
            width=WIDTH,
            height=HEIGHT,
            **{"line": (), "dots": ()} | picture,
        )
    )


def _said(study: Study) -> list[str]:
    if study.answer is None or study.model is None:
        return []
    return answer_words(study.answer, trust(study.model))[:1]


def _points(study: Study) -> list[tuple[float, float]]:
    return [(record.ref_macs, study.estimated(record)) for record in study.front]


def _front(study: Study) -> Rows:
    unit = study.spec.flops_unit
    return [
        {
            "trial": record.number,
            "block": record.block,
            unit.name: unit.of(record.ref_macs),
            "#P (M)": f"{record.ref_params / 1e6:.2f}",
            **_estimated(study, record.block),
        }
        for record in study.front
    ]


def _blocks(study: Study) -> Rows:
    return [{"block": block, **_estimated(study, block)} for block in study.estimates]


def _estimated(study: Study, block: str) -> dict[str, str]:
    found = study.estimates[block]
    ends = [f"{100 * end:.2f}" for end in (found.low, found.high) if end is not None]
    return {
        "estimate, %": f"{100 * found.estimate:.2f}",
        "90 %": " to ".join(ends) or "not known",
        "trainings": str(found.trainings),
    }


def _variants(study: Study) -> Rows:
    error = f"mean {'test' if design_of(study).test else 'validation'} error, %"
    return [
        {
            "variant": row["variant"],
            error: FILTERS["pct"](row["mean"]),
            "difference, points": FILTERS["points"](row["difference"]),
        }
        for row in records_of(effects_table(study, effects(study)))
        if not row["same_as"]
    ]
