"""What a study file's factors are changed in: its baseline, wherever that stands."""

from __future__ import annotations

from pathlib import Path

from skexplore.plan.ablation import AblationRequest, plan_ablation


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
