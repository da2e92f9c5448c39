"""What a study file's factors are changed in: its baseline, wherever that stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from skexplore.errors import UserError
from skexplore.plan.ablation import AblationRequest, plan_ablation
from skexplore.plan.search import MAX_SEED


def test_factors_change_the_baseline_although_it_is_not_the_first_row():
    Path("mine.yaml").write_text(
        "name: mine\nbaseline: two\nrows:\n  - {name: one, block: k3}\n  - {name: two, block: k3+k3d2}\n"
        "one_at_a_time: {fuse: [sum], reduction: [8]}\nleave_one_out: {second: {branches.2: none}}\n"
    )
    design = plan_ablation(AblationRequest(source="mine.yaml")).spec.ablation
    blocks = {variant.name: variant.block for variant in design.variants}
    assert (blocks["one"], blocks["two"]) == ("k3", "k3+k3d2")
    assert {"k3+k3d2/sum", "k3+k3d2/r8"} <= set(blocks.values())
    assert design.baseline == "two"


def test_the_last_seed_may_be_the_greatest_and_no_greater():
    plan_ablation(AblationRequest(source="table7", seed=MAX_SEED - 2, seeds=3))
    with pytest.raises(UserError, match=f"between 0 and {MAX_SEED}"):
        plan_ablation(AblationRequest(source="table7", seed=MAX_SEED - 2, seeds=4))
