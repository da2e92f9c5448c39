"""What of a block is told to the model."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from support.small_spaces import conditioned_spaces

from skexplore.arch.architecture import Architecture
from skexplore.space.candidates import Candidates
from skexplore.space.space import Space
from skexplore.surrogate.features import Scale, describe, shape


def test_a_block_is_described_by_its_branches_and_its_attention():
    found = describe(shape(Architecture.of("k3+k5g64/r8")))
    assert found["branches"] == 2
    assert (found["k3"], found["k5"]) == (1, 1)
    assert found["log2 groups"] == 1
    assert found["1 / widest field"] == 1 / 5
    assert found["log2 weights"] == pytest.approx(math.log2(9 / 32 + 25 / 64))
    assert found["log2 weights beyond a pixel"] == pytest.approx(math.log2(1 + 18 + 25))
    assert found["log2 places"] == pytest.approx(math.log2(25))  # the small one sees nothing else
    # d = width / 8 is twice a sixteenth; in the first stage the floor of 32 is above it
    assert (found["attention"], found["log2 d"]) == (1, (2 + 1 + 1 + 1) / 4)


def test_the_floor_of_the_papers_block_acts_in_its_first_two_stages():
    found = describe(shape(Architecture.of("k3+k3d2")))
    assert found["log2 d"] == pytest.approx((2 + 1 + 0 + 0) / 4)
    assert "attention" not in describe(shape(Architecture.of("k3+k3d2/sum")))


@pytest.mark.parametrize(
    ("block", "places"),
    [("k1", 1), ("k3d3", 9), ("k3+k3d2", 17), ("k3+k3d2+k3d3", 25), ("k5+k3d2", 25), ("k5+k3d3", 33)],
)
def test_places_are_counted_once(block, places):
    assert describe(shape(Architecture.of(block)))["log2 places"] == pytest.approx(math.log2(places))


def test_what_sees_one_pixel_has_no_weights_beyond_it():
    found = describe(shape(Architecture.of("k1+k1g64")))
    assert (found["log2 weights beyond a pixel"], found["1 / widest field"], found["log2 places"]) == (
        0,
        1,
        0,
    )


def test_a_block_of_its_own_in_each_stage_is_the_mean_of_its_stages():
    mixed = describe(shape(Architecture.of("k3;k3;k3+k3d2/sum;k3+k3d2/sum")))
    assert (mixed["branches"], mixed["k3"], mixed["k3d2"]) == (1.5, 1, 0.5)


@settings(max_examples=30)
@given(conditioned_spaces())
def test_forms_and_blocks_are_told_alike(chosen: Space):
    candidates = Candidates(chosen)
    for forms in candidates.within[:20]:
        assert candidates.shape(forms) == shape(chosen.network(candidates.levels(forms)))


def test_features_have_mean_0_and_sd_1_over_their_population():
    texts = ["k3", "k3+k3d2", "k3+k5g64", "k1+k3/sum", "k7g128"]
    population = [shape(Architecture.of(text)) for text in texts]
    scale = Scale(population)
    rows = scale.rows(population)
    assert rows.shape == (5, len(scale.names))
    assert rows.mean(0) == pytest.approx(0, abs=1e-12)
    assert rows.std(0) == pytest.approx(1)
    assert np.isfinite(scale.rows([shape(Architecture.of("k3d3"))])).all()  # of a kind it has not seen
