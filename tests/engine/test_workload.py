"""What a plan says that it will train: search trials and anchors, every epoch of every one."""

from __future__ import annotations

import pytest

from skexplore.engine.workload import estimate
from skexplore.plan.search import Request, plan_search


@pytest.mark.parametrize(("anchors", "beside"), [("two", 4), ("none", 0)])
def test_a_plan_counts_trials_anchors_and_the_images_of_validation(monkeypatch, anchors, beside):
    monkeypatch.setattr("skexplore.training.measure", lambda *_: 500.0)
    plans = [
        plan_search(Request(budget_gflops=4.5, profile="quick", trials=6, anchors=anchors, seed=seed))
        for seed in (0, 1)
    ]
    found = estimate(plans, 2)
    assert (found.trials, found.anchors) == (12, 2 * beside)
    epochs = 3 * (12 + 2 * beside)
    assert found.images == epochs * 10_000
    assert found.seconds == pytest.approx(epochs * (10_000 + 0.28 * 5_000) / 500)
