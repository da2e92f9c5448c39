"""The figures of a study, each made of the study alone: what the page has, and what a notebook asks for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import attrgetter

import pandas as pd
import plotly.graph_objects as go

from skexplore.analysis import (
    Importances,
    anchors_table,
    curves_table,
    importances,
    incumbent,
    knee,
    published_table,
    study_noise,
    timeline_table,
)
from skexplore.report.figures import course as course_figures, files as figure_files, front as figures
from skexplore.report.figures.style import Bar
from skexplore.study import Record, Study

CURVES = 200  # learning curves of other than anchors and the front in one plot
PICTURE_SIZE = (860, 520)  # pixels; the width of a README's column


def pareto_figure(study: Study, x: figures.Size = "ref_macs", beside: Sequence[Study] = ()) -> go.Figure:
    """Return the Pareto plot of ``study`` over ``x``, with the fronts of comparable studies ``beside`` it."""
    spec = study.spec
    budget = spec.max_macs if x == "ref_macs" else spec.max_params
    return figures.pareto_figure(
        study.trials(),
        front_of(study, x),
        anchors_table(study),
        x=x,
        budget=budget if math.isfinite(budget) else None,
        bar=_noise_bar(study) if study.answer is None else None,
        unit=spec.flops_unit,
        own=spec.name,
        beside=[
            figures.Overlay(name=other.spec.name, front=other.table(other.front_over(attrgetter(x))))
            for other in beside
        ],
    )


def placement_figure(study: Study) -> go.Figure:
    """Return the trials among the rows of the paper's tables, by their costs at the reference."""
    published = published_table(study.spec.reference_body)
    return figures.placement_figure(
        published, study.trials(), front_of(study, "ref_macs"), study.spec.flops_unit
    )


def course_figure(study: Study, x: course_figures.Over = "images", beside: Sequence[Study] = ()) -> go.Figure:
    """Return the estimated error of the block that the search would have named, over images or trainings."""
    return _course(study, x, [incumbent(each) for each in (study, *beside)], beside)


def _course(
    study: Study, x: course_figures.Over, incumbents: Sequence[pd.DataFrame], beside: Sequence[Study]
) -> go.Figure:
    return course_figures.incumbent_figure(
        incumbents[0],
        anchors_table(study),
        x=x,
        bar=_noise_bar(study) if study.answer is None else None,  # an answer goes by estimates
        own=study.spec.name,
        beside={other.spec.name: table for other, table in zip(beside, incumbents[1:], strict=True)},
    )


def curves_figure(study: Study) -> go.Figure:
    """Return validation errors after each epoch, the front emphasised; of a long search some are left out."""
    return course_figures.curves_figure(
        curves_table(study, most=CURVES), front_of(study, "ref_macs").rows, bar=_noise_bar(study)
    )


def timeline_figure(study: Study) -> go.Figure:
    """Return when each training of ``study`` ran, and what ran beside it; empty where that is not on record."""
    return course_figures.timeline_figure(timeline_table(study))


def importance_figure(study: Study, found: Importances | None = None) -> go.Figure:
    """Return how much each decision decides whether a trial is among the best; empty below 50 complete trials.

    found: the importances, where they are known already.
    """
    found = importances(study) if found is None else found
    return course_figures.importance_figure(found.shares, found.clear)


def search_figures(study: Study, found: Importances, beside: Sequence[Study] = ()) -> dict[str, str]:
    """Return the figures of the page of a search as JSON text, by the id of their element."""
    incumbents = [incumbent(each) for each in (study, *beside)]
    drawn = {
        "pareto": pareto_figure(study, "ref_macs", beside),
        "placement": placement_figure(study),
        "incumbent-images": _course(study, "images", incumbents, beside),
        "incumbent-trained": _course(study, "trained", incumbents, beside),
        "curves": curves_figure(study),
        "timeline": timeline_figure(study),
        "importances": importance_figure(study, found),
    }
    return {name: str(figure.to_json()) for name, figure in drawn.items()}


def search_picture(study: Study, kind: str, beside: Sequence[Study] = ()) -> bytes:
    """Return the Pareto plot over reference GFLOPs as a picture for READMEs; kind: ``svg`` or ``png``.

    Needs the extra ``picture`` and a Chromium; raises ``UserError`` that names what is missing.
    """
    width, height = PICTURE_SIZE
    searches = [other for other in beside if other.spec.ablation is None]
    return figure_files.to_picture(
        pareto_figure(study, "ref_macs", searches), kind, width=width, height=height
    )


def _noise_bar(study: Study) -> Bar | None:
    """Return the single errors that are not distinguishable from the lowest, None if they are not known."""
    errors, noise = [r.val_error for r in study.eligible() if r.val_error is not None], study_noise(study)
    if not errors or noise is None or noise.from_best is None:
        return None
    return Bar(best=min(errors), reach=noise.from_best)


def front_of(study: Study, x: figures.Size) -> figures.Front:
    """Return where the front over ``x`` stands in the records of ``study``."""
    records = study.front_over(attrgetter(x))
    turn = knee(records, attrgetter(x), study.estimated)
    numbers = {
        record.number: position for record, position in zip(records, positions(study, records), strict=True)
    }
    return figures.Front(
        rows=tuple(numbers.values()),
        knee=None if turn is None else numbers[turn.number],
    )


def positions(study: Study, records: Sequence[Record]) -> tuple[int, ...]:
    """Return where ``records`` stand in those of ``study``."""
    wanted = {(record.origin, record.number) for record in records}
    found = {
        (record.origin, record.number): position
        for position, record in enumerate(study.records)
        if (record.origin, record.number) in wanted
    }
    return tuple(found[record.origin, record.number] for record in records)
