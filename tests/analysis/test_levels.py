"""Believed errors of levels: against means over the space, block by block."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import pytest
from support.studies import synthetic

from skexplore.analysis import believed_levels
from skexplore.arch import cost, format_blocks, traits_of
from skexplore.space import Space
from skexplore.study import load_study

STUDIES = Path(__file__).parents[2] / "studies"


def test_levels_are_means_over_all_blocks_within_the_budget():
    study = load_study(str(STUDIES / "first-search"))
    space = Space.load("sk-paper")
    blocks = [each for each in dict.fromkeys(map(space.decode, space.points())) if cost(each).macs <= 4.5e9]
    assert len(blocks) == 6_439
    mean, _ = study.model.posterior().predict(study.model.population.rows(map(format_blocks, blocks)))
    found = believed_levels(study)
    for trait, level in (("r", "8"), ("r", "–"), ("M", "3"), ("kernels", "3+3d2"), ("groups", "32")):
        own = [
            error
            for block, error in zip(blocks, mean, strict=True)
            if {None: "–"}.get(traits_of(block)[trait], str(traits_of(block)[trait])) == level
        ]
        assert found[trait][level] == pytest.approx(fmean(own))
    assert {*found} == {*traits_of(blocks[0])}


def test_a_search_without_an_answer_believes_nothing_of_levels():
    study = synthetic(records=())
    assert study.answer is None
    assert believed_levels(study) == {}
