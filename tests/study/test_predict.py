"""What a search believes of blocks that it did not train, judged on those that the recorded table trained later."""

from __future__ import annotations

import json
from statistics import NormalDist

import numpy as np
import pytest

from skexplore.errors import UserError
from skexplore.study import load_study

TABLE = load_study("sk-table")
RANDOM = [
    record for record in TABLE.searched if record.status == "complete"
]  # in an order that no error decided
LATER = RANDOM[90:]


@pytest.mark.parametrize("told", [10, 30, 60])
def test_intervals_of_untried_blocks_hold_what_was_measured(told):
    held, correlations, generator = [], [], np.random.default_rng(told)
    for _ in range(8):
        order = [RANDOM[at] for at in generator.permutation(len(RANDOM))]
        model, later = TABLE.with_records([*TABLE.anchors[:2], *order[:told]]).model, order[told:]
        mean, spread = model.posterior().predict(model.population.rows(record.block for record in later))
        measured = np.array([record.val_error for record in later])
        # what is measured has the noise of one training too
        half = NormalDist().inv_cdf(0.95) * np.hypot(spread, model.noise.sd)
        held.append(np.mean(abs(measured - mean) < half))
        correlations.append(np.corrcoef(mean, measured)[0, 1])
    assert np.mean(held) == pytest.approx(0.90, abs=0.04)
    assert np.median(correlations) > 0.75


def test_a_trained_block_has_its_estimate_and_another_an_interval_of_its_own():
    study = TABLE.with_records([*TABLE.anchors[:2], *RANDOM[:30]])
    for record in (study.best, RANDOM[7]):
        assert study.predict(record.block) == study.estimates[record.block]
    found = study.predict(LATER[0].block)
    assert found.trainings == 0
    assert found.low < found.estimate < found.high
    assert study.predict(LATER[0].block) == found
    mean, spread = study.model.posterior().predict(study.model.population.rows([LATER[0].block]))
    assert (found.estimate, found.high - found.low) == pytest.approx(
        (mean[0], 2 * 1.6449 * spread[0]), rel=1e-4
    )
    with pytest.raises(UserError, match="k9 is not in the space sk-paper"):
        study.predict("k9")


def test_what_knows_too_little_says_so():
    few = TABLE.with_records(RANDOM[:3])
    assert few.predict(RANDOM[0].block).trainings == 1
    with pytest.raises(UserError, match="needs 8 trained blocks, not 3"):
        few.predict(LATER[0].block)
    with pytest.raises(UserError, match="no search"):
        load_study("sk-table-best").predict("k1")


def test_the_command_prints_what_python_says(command):
    blocks = [LATER[0].block, "k3+k3d2"]
    code, out, err = command("predict", "sk-table", *blocks, "--json")
    assert (code, err) == (0, "")
    rows = json.loads(out)
    assert [row["block"] for row in rows] == blocks
    assert [row["estimate"] for row in rows] == [TABLE.predict(block).estimate for block in blocks]
    out = command("predict", "sk-table", *blocks)[1]
    assert f"{100 * rows[0]['estimate']:.2f} %" in out
    assert "4x4d-1111-c32" in out
    code, _, err = command("predict", "sk-table", "k3+")
    assert code == 2
    assert "not of the form" in err
