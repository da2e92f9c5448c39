"""What a search would have named after so many images: the estimates of then, and all that was spent."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
from support.searches import EPOCH
from support.studies import only, synthetic

from skexplore.analysis import incumbent
from skexplore.analysis.course import MOMENTS, course, ended
from skexplore.analysis.findings import spending
from skexplore.study import load_study

FIRST = Path(__file__).parents[2] / "studies" / "first-search"


def test_a_course_counts_every_image_in_the_order_of_numbers():
    study = only(
        ("k3", "complete", 0.45, 6),
        ("k3+k7", "over_budget", None, 0),
        ("k3d2", "stopped", 0.30, 2),  # not trained to the end: not named, but its images count
        ("k1+k3g64", "failed", None, 3),
        ("k1", "complete", 0.50, 6),
        ("k3+k3", "replay", 0.10, 0),
        ("k3+k3d2", "complete", 0.44, 0),  # measured elsewhere
        ("k3g64", "complete", 0.40, 6),
        ("k1+k3/r8", "running", None, 2),
    )
    run = course(study.with_records(study.records[::-1]))
    assert [(m.ended, m.images // EPOCH) for m in run.moments] == [
        (1, 6), (3, 8), (4, 11), (5, 17), (7, 17), (8, 23),
    ]  # fmt: skip
    assert [moment.best for moment in run.moments] == pytest.approx([0.45, 0.45, 0.45, 0.45, 0.44, 0.40])
    assert run.total == 23 * EPOCH
    assert math.isinf(run.at(6 * EPOCH - 1).best)
    assert [run.at(n * EPOCH).best for n in (6, 16, 17, 22, 23, 99)] == pytest.approx(
        [0.45, 0.45, 0.44, 0.44, 0.40, 0.40]
    )


def test_a_replicate_costs_its_images_after_the_trials_and_may_change_what_is_named():
    study = only(("k3", "complete", 0.40, 6), ("k1", "complete", 0.42, 6))
    again = replace(
        study.records[0], origin="replicate", number=0, seed=7, key="again", val_error=0.48, images=6 * EPOCH
    )
    run = course(study.with_records((again, *study.records)))
    assert [moment.images // EPOCH for moment in run.moments] == [6, 12, 18]
    assert [moment.best for moment in run.moments] == pytest.approx([0.40, 0.40, 0.42])  # k3 is at 0.44 now
    assert [record.origin for record in ended(study.with_records((again, *study.records)))][-1] == "replicate"


def test_the_last_moment_names_what_the_study_names_by_its_own_estimate():
    study = load_study(str(FIRST))
    run = course(study)
    best = study.best
    assert best is not None
    assert run.moments[-1].best == pytest.approx(study.estimated(best), abs=1e-12)
    errors, gflops = zip(*run.moments[-1].front, strict=True)
    assert errors == pytest.approx([study.estimated(record) for record in study.front], abs=1e-12)
    assert gflops == tuple(record.ref_macs / 1e9 for record in study.front)
    # long before, it is what the study of then would have said
    early = run.moments[4]
    then = study.with_records((*study.anchors, *ended(study)[: early.ended]))
    named = then.best
    assert named is not None
    assert early.best == pytest.approx(then.estimated(named), abs=1e-12)


def test_a_long_course_has_few_moments_and_stops_where_it_is_asked_to():
    blocks = ["k3", "k1", "k3d2", "k3d3", "k5g16", "k3g64", "k3g16", "k3+k3/sum"]
    study = only(*((blocks[at % 8], "complete", 0.5 - at / 1000, 6) for at in range(3 * MOMENTS)))
    run = course(study, also=(7 * EPOCH * 6,))
    assert MOMENTS <= len(run.moments) <= MOMENTS + 2  # the first block, and where it is asked to
    assert run.at(7 * EPOCH * 6).images == 7 * EPOCH * 6
    assert run.moments[-1].ended == 3 * MOMENTS


def test_the_table_has_every_training_and_no_name_before_something_is_complete():
    study = synthetic()
    table = incumbent(study)
    best = study.best
    assert table["best_val_error"].iloc[-1] == pytest.approx(study.estimated(best))
    assert table["images"].iloc[-1] == spending(study)["search_images"]
    assert list(table["trained"]) == list(range(1, len(table) + 1))
    assert [study.records[position].number for position in table["position"]] == list(table["number"])
    stopped = only(("k3", "stopped", 0.1, 2), ("k3+k3", "complete", 0.5, 6))
    assert list(incumbent(stopped)["best_val_error"].isna()) == [True, False]
    assert incumbent(only()).empty
