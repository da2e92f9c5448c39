"""The bench commands run and print finite numbers; what the numbers are gates nothing."""

from __future__ import annotations

import json
import math
import statistics
import sys

import pytest


@pytest.mark.slow
def test_bench_sk_prints_every_mode_and_layout(command):
    pytest.importorskip("timm")
    code, out, err = command("bench", "sk", "--quick")
    assert (code, err) == (0, "")
    for words in ("inference", "training", "NCHW", "channels_last", "geometric means", "Method", "threads"):
        assert words in out


@pytest.mark.slow
def test_bench_sk_as_json_has_finite_ratios(command):
    pytest.importorskip("timm")
    code, out, _ = command("bench", "sk", "--quick", "--json")
    assert code == 0
    found = json.loads(out)
    assert list(found) == ["turns", "environment", "timings", "geometric_means"]
    assert {(row["mode"], row["layout"]) for row in found["timings"]} == {
        (mode, layout) for mode in ("inference", "training") for layout in ("NCHW", "channels_last")
    }
    ratios = [row[key] for row in found["timings"] for key in ("own_ms", "times_timm", "times_bare")]
    for name, means in found["geometric_means"].items():  # of a mode, or of a mode in one layout
        members = [row for row in found["timings"] if name in (row["mode"], f"{row['mode']} {row['layout']}")]
        for key, mean in means.items():
            assert mean == pytest.approx(statistics.geometric_mean(row[key] for row in members))
    ratios += [mean for means in found["geometric_means"].values() for mean in means.values()]
    assert all(math.isfinite(ratio) and ratio > 0 for ratio in ratios)


def test_bench_sk_without_timm_says_what_to_install(command, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.setitem(sys.modules, "timm.layers", None)
    code, out, err = command("bench", "sk", "--quick", "--json")
    assert (code, out) == (2, "")
    assert 'pip install "skexplore[bench]"' in err


def test_bench_cost_prints_and_writes_finite_numbers(command):
    code, out, err = command("bench", "cost", "--quick", "--json")
    assert (code, err) == (0, "")
    rows = json.loads(out)["timings"]
    assert [row["kind"] for row in rows] == ["tied", "per stage"]
    for row in rows:
        for key in ("cost_us", "notation_us", "fvcore_ms", "times_fvcore"):
            assert math.isfinite(row[key])
            assert row[key] > 0


def test_bench_cost_in_words(command, monkeypatch):
    from skexplore.nn import benchmark as bench

    monkeypatch.setattr(bench, "count", lambda *_: None)
    code, out, _ = command("bench", "cost", "--quick")
    assert code == 0
    assert "microseconds a block" in out
    assert "none seen twice" in out


def test_random_blocks_of_the_benchmark_are_distinct_and_fit():
    import random

    from skexplore.arch.costs import cost
    from skexplore.nn.benchmark import _random_blocks

    generator = random.Random(0)
    found = [_random_blocks(generator, number % 2 == 1) for number in range(400)]
    assert len(set(found)) > 390
    assert all(cost(each).macs > 0 for each in found)
    assert {len(each[0].branches) for each in found} == {1, 2, 3, 4, 5}
