"""A search that measures latencies: each network once, and nothing that is too slow is trained."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import ClassVar

import optuna
import pytest
from support.instant import MIDDLE

from skexplore.analysis.repeats import grouped
from skexplore.arch.costs import cost
from skexplore.arch.notation import format_blocks
from skexplore.engine import latencies
from skexplore.errors import UserError
from skexplore.plan.confirmation import ConfirmRequest, plan_confirmation
from skexplore.study.comparable import compare_specs
from skexplore.study.samplers import SAMPLERS
from skexplore.study.store import archive, load_study

KNOWN_MS = 100.0


def ratio_of(block: str) -> float:
    """A known latency, as a multiple of plain K3's: its activations."""
    return cost(block).activations / cost("k3").activations


class KnownMeter:
    """A meter that knows instead of measuring, and counts what it is asked."""

    asked: ClassVar[Counter[str]] = Counter()
    machine = "a known processor"

    def __init__(self, known, *, device, batch, dtype, threads):
        assert format_blocks(known.blocks) == "k3"
        KnownMeter.how = (device, batch, dtype, threads)

    def known_ms(self):
        return KNOWN_MS

    def times_known(self, architecture):
        block = format_blocks(architecture.blocks)
        KnownMeter.asked[block] += 1
        return ratio_of(block)


@pytest.fixture(autouse=True)
def meter(monkeypatch):
    KnownMeter.asked, KnownMeter.machine = Counter(), "a known processor"
    monkeypatch.setattr(latencies, "LatencyMeter", KnownMeter)
    return KnownMeter


def budget_below(share: float) -> float:
    """Return the latency that so many of the middle space's architectures keep, roughly."""
    return KNOWN_MS * (1 + share * (ratio_of("k3+k3") - 1))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_nothing_that_is_too_slow_is_trained_and_each_network_is_measured_once(run, meter, tmp_path, sampler):
    space = tmp_path / "middle.yaml"
    space.write_text(MIDDLE)
    limit = budget_below(0.9)
    study = run(space=str(space), trials=60, budget_latency_ms=limit, sampler=sampler)
    assert study.state == "exhausted"
    for record in study.records:
        assert record.ref_latency_ms == pytest.approx(KNOWN_MS * ratio_of(record.block))
    slow = {r.block for r in study.searched if r.ref_latency_ms > limit}
    assert slow
    assert {r.block for r in study.searched if r.status == "over_budget"} == slow
    assert all(not r.images for r in study.searched if r.block in slow)
    assert all(f"on {limit:.4g} ms" in r.reason for r in study.searched if r.status == "over_budget")
    assert set(meter.asked.values()) == {1}
    # all that keep both limits were trained, but for what is one network with another
    assert len({r.block for r in study.searched}) == 21
    assert study.best.ref_latency_ms <= limit


def test_the_model_learns_which_blocks_are_too_slow(run, meter):
    limit, slow = budget_below(1.5), {}
    for sampler in ("random", "model"):
        study = run(trials=16, budget_gflops=None, budget_latency_ms=limit, sampler=sampler, study=sampler)
        slow[sampler] = sum(r.status == "over_budget" for r in study.searched)
    # the best blocks of this objective are the slow ones: what it proposes lies at the limit
    assert slow["model"] < slow["random"] / 2


def test_what_is_over_another_budget_is_not_measured(run, meter):
    study = run(trials=8, budget_latency_ms=1000.0, sampler="tpe")
    over = {r.block for r in study.searched if r.status == "over_budget"}
    assert over
    assert not over & {*meter.asked}
    assert all(r.ref_latency_ms is None for r in study.searched if r.block in over)
    stored = optuna.load_study(study_name="s", storage="sqlite:///studies/s/study.db")
    for trial, record in zip(stored.trials, study.searched, strict=True):
        expected = 0 if record.ref_latency_ms is None else record.ref_latency_ms / 1000 - 1
        assert trial.constraints["latency"] == pytest.approx(expected)


def test_it_is_measured_without_a_limit_where_a_device_is_named(run, meter):
    study = run(trials=3, latency_device="cpu", latency_batch=4, latency_threads=2, latency_dtype="bfloat16")
    assert meter.how == ("cpu", 4, "bfloat16", 2)
    assert all(r.ref_latency_ms for r in study.records if r.images)
    terms = study.spec.latency
    assert (terms.machine, terms.known_ms) == ("a known processor", KNOWN_MS)
    assert terms.words == "batch of 4, bfloat16, a known processor, 2 threads"
    assert study.trials()["ref_latency_ms"].tolist() == [r.ref_latency_ms for r in study.records]
    assert "ref_latency_ms" not in run(trials=1, study="without").trials()


def test_a_study_goes_on_with_what_it_measured_under_another_limit(run, meter, tmp_path):
    space = tmp_path / "middle.yaml"
    space.write_text(MIDDLE)
    given = {"space": str(space), "sampler": "random"}
    first = run(trials=60, budget_latency_ms=budget_below(0.5), **given)
    trained = {r.block for r in first.searched if r.images}
    meter.asked.clear()
    KnownMeter.known_ms = lambda _: 12345.0
    try:
        study = run(trials=60, budget_latency_ms=budget_below(2), **given)
    finally:
        KnownMeter.known_ms = lambda _: KNOWN_MS
    assert study.spec.latency.known_ms == KNOWN_MS
    assert not meter.asked  # every network was measured before
    assert trained < {r.block for r in study.searched if r.images}
    assert study.state == "exhausted"


def test_latencies_of_two_machines_or_kinds_are_not_mixed(run, meter):
    run(trials=2, budget_latency_ms=1000.0)
    for changes, said in (
        ({"latency_batch": 8}, r"batch of 1.*batch of 8"),
        ({"budget_latency_ms": None}, "measures latency .* and this search measures none"),
    ):
        with pytest.raises(UserError, match=said):
            run(trials=3, **({"budget_latency_ms": 1000.0} | changes))
    meter.machine = "another"
    with pytest.raises(
        UserError, match=r"a known processor.*another.*choose another --study name, with --reuse s"
    ):
        run(trials=3, budget_latency_ms=1000.0)


def test_repeats_are_one_group_and_other_machines_are_refused(run, meter):
    def repeated(name, seed, **given):
        return run(**({"trials": 2, "budget_latency_ms": 1000.0, "study": name, "seed": seed} | given))

    first = repeated("a", 0)
    KnownMeter.known_ms = lambda _: KNOWN_MS + 1
    try:
        second = repeated("b", 1)
        meter.machine = "another"
        elsewhere = repeated("c", 2)
        alone = repeated("d", 3, budget_latency_ms=None, latency_device="cpu")
    finally:
        KnownMeter.known_ms = lambda _: KNOWN_MS
    assert len(grouped([first, second])) == 1
    with pytest.raises(
        UserError, match=r"1000 ms \(batch of 1, float32, a known processor.*1000 ms \(.*another"
    ):
        grouped([first, elsewhere])
    labels = compare_specs(run(trials=2, study="e", latency_batch=2), alone).labels
    assert any(label.startswith("Latency: ") for label in labels)


def test_confirmed_random_blocks_were_not_found_too_slow(run, meter, tmp_path):
    space = tmp_path / "middle.yaml"
    space.write_text(MIDDLE)
    study = run(space=str(space), trials=60, budget_latency_ms=budget_below(0.5), sampler="random")
    design = plan_confirmation(ConfirmRequest(study="s")).spec.ablation
    slow = {r.block for r in study.searched if study.spec.too_slow(r)}
    assert slow
    assert not slow & {variant.block for variant in design.variants if variant.role == "random"}


def test_other_trainings_of_its_study_need_no_meter(run, meter, synthetic_data, monkeypatch):
    from support.instant import InstantPool

    from skexplore.engine import coordinator
    from skexplore.engine.run import train

    run(trials=2, budget_latency_ms=1000.0)
    monkeypatch.setattr(coordinator, "Pool", InstantPool)
    meter.asked.clear()
    meter.machine = "another"
    study = train(blocks="k3+k5", study="s", workers=1, data_folder=synthetic_data)
    assert not meter.asked
    assert any(r.block == "k3+k5" and r.images for r in study.records)


def test_what_was_measured_is_in_the_archive(run):
    study = run(trials=3, budget_latency_ms=1000.0)
    archive("s", Path("studies/copy"))
    again = load_study("studies/copy")
    assert again.archived
    assert again.spec.latency == study.spec.latency
    assert [r.ref_latency_ms for r in again.records] == [r.ref_latency_ms for r in study.records]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"budget_latency_ms": -1.0}, "--budget-latency-ms -1.0: must be a positive number"),
        ({"latency_batch": 0}, "--latency-batch 0: must be at least 1"),
        ({"latency_batch": 10**9}, "--latency-batch 1000000000: .* give a smaller one"),
        ({"latency_device": "cpu:0", "latency_threads": 0}, "--latency-threads 0: must be at least 1"),
        ({"latency_dtype": "int8"}, "--latency-dtype int8: must be one of float32, bfloat16, float16"),
        ({"latency_device": "cuda:0", "latency_threads": 2}, "threads are a CPU's"),
    ],
)
def test_wrong_input(run, given, said):
    with pytest.raises(UserError, match=said):
        run(**given)
