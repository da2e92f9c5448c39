import json
from dataclasses import asdict, replace

import pytest
from support.studies import ANCHORS, EDGE_CASES, SEARCH, SPEC, only, record, synthetic

from skexplore.analysis import findings, tables as analysis
from skexplore.analysis.noise import may_be_best, noise, study_noise
from skexplore.arch import TRAITS
from skexplore.arch.costs import cost
from skexplore.paper.tables import TABLES, place, table_rows
from skexplore.study.record import COLUMNS, STATUSES
from skexplore.study.study import ESTIMATED


@pytest.fixture
def study():
    return synthetic()


def test_trials_table_is_every_record_in_the_contract_s_columns(study):
    table = study.trials()
    assert tuple(table.columns) == (*COLUMNS, *ESTIMATED, *TRAITS)
    assert len(table) == len(ANCHORS) + len(SEARCH)
    assert {"over_budget", "failed", "diverged", "stopped", "replay", "complete"} == set(table["status"])


def test_pareto_table_is_feasible_complete_and_not_dominated(study):
    blocks = list(analysis.pareto_table(study)["block"])
    assert blocks == [
        "k1g64", "k1", "k1+k1", "k3g64", "k1+k3g64", "k1+k3/r8", "k3g64;k3g64;k3+k3g64;k3+k3",
    ]  # fmt: skip


def test_a_smaller_budget_takes_points_off_the_front_and_a_larger_one_claims_nothing_new(study):
    small = replace(study, spec=replace(SPEC, budget_gflops=4.2))
    assert analysis.pareto_table(small)["ref_macs"].max() <= 4.2e9
    large = replace(study, spec=replace(SPEC, budget_gflops=50.0))
    assert "over_budget" not in set(analysis.pareto_table(large)["status"])


def test_placement_has_one_row_per_trained_block_and_table(study):
    table = analysis.placement_table(study)
    assert tuple(table.columns) == analysis.PLACEMENT_COLUMNS
    trained = [number for number, row in enumerate(SEARCH) if row[1] in ("complete", "stopped")]
    assert [*zip(table["number"], table["table"], strict=True)] == [(n, t) for n in trained for t in TABLES]


def test_every_placement_row_is_that_of_published(study):
    for row in analysis.placement_table(study).to_dict("records"):
        at = next(at for at in place(row["block"]) if at.table == row["table"])
        assert row["row_below"] == " | ".join(at.below)
        assert row["row_above"] == " | ".join(at.above)
        assert row["nearest"] == " | ".join(at.nearest)
        assert row["params_diff_pct"] == at.params_diff_pct
        assert row["macs_diff_pct"] == at.macs_diff_pct
        assert row["matched"] == at.matched


def test_placement_of_the_paper_s_block_is_its_own_row():
    table = analysis.placement_table(only(("k3+k3d2", "complete", 0.4, 6)))
    row = table[table["table"] == 3].iloc[0]
    assert (row["nearest"], row["row_below"]) == ("SKNet-50", "ResNeXt-50 (32x4d)")
    assert (row["params_diff_pct"], row["macs_diff_pct"], row["matched"]) == (0, 0, True)


@pytest.mark.parametrize("table", TABLES)
def test_placed_table_holds_all_published_rows_in_the_order_of_cost(study, table):
    placed = analysis.placed_table(study, table)
    keys = [*zip(placed["ref_macs"], placed["ref_params"], strict=True)]
    assert keys == sorted(keys)
    published = placed[placed["kind"] == "published"]
    assert list(published["name"]) == [row.system for row in table_rows(table)]
    assert placed[placed["kind"] == "trial"]["published_error_pct"].isna().all()
    assert set(analysis.placed_table(study, table, front_only=True)["on_front"]) == {True, False}


def test_published_rows_show_our_error_only_where_an_anchor_is_the_same_network(study):
    placed = analysis.placed_table(study, 3)
    measured = placed[(placed["kind"] == "published") & placed["val_error"].notna()]
    # three more rows of Table 3 have K3 blocks, in other backbones
    assert list(measured["name"]) == ["ResNeXt-50 (32x4d)", "SKNet-50"]
    assert list(measured["val_error"]) == pytest.approx([0.4431, 0.4160])


def test_anchors_have_mean_and_spread_over_seeds(study):
    rows = analysis.anchors_table(study).to_dict("records")
    assert [(row["name"], row["n"]) for row in rows] == [("K3", 2), ("K3+K5 SK", 2)]
    assert rows[0]["mean"] == pytest.approx(0.4431)
    assert rows[0]["sd"] == pytest.approx(0.0058 / 2**0.5)
    assert (rows[0]["min"], rows[0]["max"]) == (0.4402, 0.4460)
    assert rows[1]["ref_macs"] == cost("k3+k3d2").macs


def test_one_measurement_told_twice_counts_once(study):
    twice = replace(study, records=(*study.records, replace(ANCHORS[0], number=99)))
    assert study_noise(twice) == study_noise(study)
    assert analysis.anchors_table(twice)["n"].tolist() == [2, 2]


def test_anchors_are_rows_by_architecture_and_noise_by_network(study):
    """Blocks that are one network in the proxy have a cost each at the reference, and one noise."""
    twins = [
        replace(each, arch_id="twin", seed=each.seed + 2, key=f"twin{each.seed}") for each in ANCHORS[:2]
    ]
    both = replace(study, records=(*twins, *study.records))
    assert analysis.anchors_table(both)["n"].tolist() == [2, 2, 2]
    errors = [[record.val_error for record in group] for group in ((*twins, *ANCHORS[:2]), ANCHORS[2:])]
    assert study_noise(both) == noise(errors, compared=len(both.eligible()))


def test_counters(study):
    assert findings.counters(study) == {
        "asked": 20, "trained": 13, "target": 13, "replicates": 0, "complete": 11, "stopped": 2, "over_budget": 4,
        "replay": 1, "failed": 1, "diverged": 1, "running": 0,
    }  # fmt: skip
    assert set(STATUSES) < set(findings.counters(EDGE_CASES["empty"]))


def test_spending_separates_search_from_anchors_and_counts_what_was_free(study):
    found = findings.spending(study)
    assert found["search_images"] == sum(row[3] for row in SEARCH) * 5_000
    assert found["anchor_images"] == 4 * 6 * 5_000
    assert (found["refused_before_training"], found["replays"], found["proposals"]) == (4, 1, 20)
    assert found["free_share"] == 5 / 20
    assert findings.spending(EDGE_CASES["empty"])["free_share"] is None


def test_what_may_be_the_best_is_what_is_believed_of_it(study, noise_is_known):
    found = study_noise(study)
    assert found is not None
    assert (found.df, found.prior_df, found.n, found.compared) == (30, 28, 4, len(study.eligible()))
    marks = may_be_best(study)
    assert marks == {r.number: r.block in study.answer.may_be_best for r in study.front}
    assert marks[study.best.number] is True
    assert not all(marks.values())


def test_of_few_blocks_hsus_comparison_says_what_may_be_the_best(noise_is_known):
    few = only(("k3g64", "complete", 0.5, 6), ("k3", "complete", 0.4, 6), ("k3+k3", "complete", 0.398, 6))
    assert few.answer is None
    assert 0.002 < study_noise(few).from_best < 0.1
    assert may_be_best(few) == {0: False, 1: True, 2: True}
    assert set(may_be_best(EDGE_CASES["one trial"]).values()) == {True}


def test_noise_of_few_degrees_of_freedom_is_not_known(study):
    assert study_noise(study).df == 2
    assert study_noise(study).from_best is None
    assert set(may_be_best(study).values()) == {None}
    assert "not known: its 2 degrees of freedom are fewer than 6" in " ".join(findings.notes(study))


def test_noise_is_that_of_one_network_whatever_its_architectures(study):
    """Two architectures that the proxy cannot tell apart, one seed each, are two seeds of one network."""
    one, other = (
        replace(anchor, arch_id=name, net_id="the same") for anchor, name in zip(ANCHORS, "ab", strict=False)
    )
    assert (one.key, one.seed) != (other.key, other.seed)
    noise = study_noise(synthetic(records=(one, other)))
    assert (noise.df, noise.n) == (1, 2)
    apart = replace(other, arch_id="a", net_id="another")
    assert study_noise(synthetic(records=(one, apart))) is None


def test_the_best_may_be_the_best_even_if_seeds_agree():
    same = tuple(replace(ANCHORS[0], val_error=0.4, seed=seed, key=str(seed)) for seed in range(7))
    study = synthetic(records=(*same, record(0, "k3g64", "complete", 0.3, 6)))
    assert may_be_best(study) == {0: True}


def test_what_beside_the_search_is_lower_than_its_best_is_said(study):
    assert not any("Lower than every block" in note for note in findings.notes(study))
    better = [
        replace(r, val_error=0.3) if r.block == "k3" and r.origin == "anchor" else r for r in study.records
    ]
    (said,) = [n for n in findings.notes(study.with_records(better)) if "Lower than every block" in n]
    assert "K3 (30.03 %, n = 2)" in said  # as it is estimated


def test_curves_are_all_there_or_the_front_the_anchors_and_as_many_others(study):
    table = analysis.curves_table(study)
    assert len(table) == sum(len(record.curve) for record in study.records)
    cut = analysis.curves_table(study, most=3)
    shown = [study.records[position] for position in cut["position"].unique()]
    assert [r for r in shown if r.origin == "anchor"] == list(study.anchors)
    assert {r.number for r in study.front} <= {r.number for r in shown}
    others = [r for r in shown if r.origin != "anchor" and r not in study.front]
    assert 0 < len(others) <= 3


@pytest.mark.parametrize("case", EDGE_CASES)
def test_findings_are_plain_strict_json_in_every_state(case):
    study = EDGE_CASES[case]
    found = findings.search_findings(study)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    best = study.best
    assert found["best"] == (best.row() | asdict(study.estimates[best.block]) if best else None)
    assert [row["number"] for row in found["front"]] == [r.number for r in study.front]
    assert all(tuple(row)[: len(COLUMNS)] == COLUMNS for row in found["front"])


def test_notes_say_what_is_missing():
    def said(case):
        return " ".join(findings.notes(EDGE_CASES[case]))

    assert "No feasible trial is complete yet" in said("nothing feasible")
    assert "No feasible trial is complete yet" in said("failures only")
    assert "2 trials failed or diverged" in said("failures only")
    assert "1 of 13 trials are trained (state: running)" in said("in progress")
    assert "Seed noise is not known" in said("one trial")
    assert "front is one of estimated errors: " in said("all")
    assert "its 2 degrees of freedom are fewer than 6" in said("all")
    assert "No feasible" not in said("all")


def test_notes_say_how_far_noise_reaches(study, noise_is_known):
    said = " ".join(findings.notes(study))
    assert "(30 degrees of freedom, 28 of them from earlier studies): one training is not" in said
    assert "nor the lowest of 11 errors from those less than" in said


def test_notes_say_what_each_rung_tells(study):
    """The synthetic curves fall by the same steps, so that every epoch orders the trials as the last one does."""
    spec = replace(study.spec, rungs=(2, 6))
    cut = replace(study, spec=spec)
    said = " ".join(findings.notes(cut))
    assert (
        "Rung after 2 epochs: in the first 10 whole trials its errors have a correlation of 1.00 with" in said
    )
    assert "final ones; trials are stopped there." in said
    few = replace(cut, records=cut.records[:8])
    said = " ".join(findings.notes(few))
    assert (
        "Rung after 2 epochs: fewer than 10 trials have come to the end; nothing is stopped there yet."
        in said
    )
    early = [
        replace(each, status="stopped", epochs=2)
        if each.status == "complete" and each.origin == "search"
        else each
        for each in cut.records
    ]
    said = " ".join(findings.notes(replace(cut, records=early)))
    assert "come to the end; trials were stopped by a version that asked no more." in said
    assert "Rung" not in " ".join(findings.notes(study))


def test_trainings_stand_in_as_many_lanes_as_ran_side_by_side():
    def ran(number, end, seconds, **changes):
        each = record(number, "k3", "complete", 0.3, 1, seed=number)
        return replace(each, ended=f"2026-01-31T12:{end:02}:00Z" if end else "", seconds=seconds, **changes)

    study = synthetic(
        records=(
            ran(0, 2, 120.0),  # 12:00 to 12:02
            ran(1, 3, 180.4),  # 12:00 to 12:03, a fraction of a second before
            ran(2, 5, 180.0, status="diverged"),  # 12:02 to 12:05, after the first
            ran(3, 0, 60.0),  # nobody wrote down when
            ran(5, 4, 0.0, status="failed"),  # before its first epoch ended
            ran(6, 4, 1e300),  # as no training can
            ran(4, 4, 60.0),  # 12:03 to 12:04, after the second
        )
    )
    found = analysis.timeline_table(study)
    assert [*found["position"]] == [1, 0, 2, 6]
    assert [*found["lane"]] == [1, 2, 2, 1]
    assert [*found["begin"]] == pytest.approx([0, 0.4, 120.4, 180.4])
    assert [*found["seconds"]] == [180.4, 120.0, 180.0, 60.0]
    assert found["status"].tolist() == ["complete", "complete", "diverged", "complete"]
    assert analysis.timeline_table(synthetic(records=())).empty
