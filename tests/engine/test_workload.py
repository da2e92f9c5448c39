"""What a plan says that it will train: search trials and anchors, every epoch of every one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from skexplore.engine.workload import estimate
from skexplore.errors import UserError
from skexplore.plan.search import Request, plan_search
from skexplore.study.hints import search_command
from skexplore.study.study import Study


def test_anchors_have_as_many_seeds_as_are_asked_for():
    asked = Request(budget_gflops=4.5, profile="quick", anchor_seeds=5, seed=3)
    plan = plan_search(asked)
    assert plan.spec.anchor_seeds == 5
    assert [each.seed for each in plan.beside] == [3, 4, 5, 6, 7] * 2
    study = Study(spec=plan.spec, records=(), target=10, environment={}, command="", state="interrupted")
    assert "--anchor-seeds 5" in search_command(study)
    usual = plan_search(replace(asked, anchor_seeds=2))
    assert len(usual.beside) == 4
    assert "--anchor-seeds" not in search_command(replace(study, spec=usual.spec))
    with pytest.raises(
        UserError, match=r"--anchor-seeds 0: must be between 1 and 1000; for no anchors, --anchors none"
    ):
        plan_search(replace(asked, anchor_seeds=0))


@pytest.mark.parametrize(("anchors", "beside"), [("two", 4), ("none", 0)])
def test_a_plan_counts_trials_anchors_and_the_images_of_validation(monkeypatch, anchors, beside):
    monkeypatch.setattr("skexplore.training.measure", lambda *_: 500.0)
    plans = [
        plan_search(Request(budget_gflops=4.5, profile="quick", trials=6, anchors=anchors, seed=seed))
        for seed in (0, 1)
    ]
    found = estimate(plans, 2)
    assert (found.trials, found.anchors) == (12, 2 * beside)
    epochs = 12 + 2 * beside
    assert found.images == epochs * 20_000
    assert found.seconds == pytest.approx(epochs * (20_000 + 0.28 * 10_000) / 500)
