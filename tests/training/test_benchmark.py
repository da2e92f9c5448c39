"""bench train and the measuring of images per second run and give finite numbers; none of them gates anything."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from skexplore.arch.costs import net_id
from skexplore.errors import StudyError, UserError
from skexplore.study.recipe import Recipe, Split, TrainSpec
from skexplore.training import benchmark
from skexplore.training.throughput import measure, throughput

BACKBONE = "8x4d-1111-s2"


def spec(**changes) -> TrainSpec:
    base = TrainSpec(
        block="k3",
        net_id=net_id("k3", BACKBONE),
        backbone=BACKBONE,
        recipe=Recipe(epochs=1, batch_size=16),
        split=Split(train_images=40, val_images=20),
        seed=0,
    )
    return replace(base, **changes)


def positive(number) -> bool:
    return math.isfinite(number) and number > 0


def test_the_whole_benchmark_takes_the_images_of_the_profile(monkeypatch, synthetic_data):
    monkeypatch.setattr(benchmark, "prepare_data", lambda *_, **__: synthetic_data)
    found = benchmark._real(Split(train_images=40, val_images=20), None)
    assert (found.images.shape, found.labels.shape) == ((40, 3, 32, 32), (40,))
    assert (found.val_images.shape, found.val_labels.shape) == ((20, 3, 32, 32), (20,))


@pytest.mark.slow
def test_bench_train_as_json_has_every_part_and_finite_ratios(command):
    threads = torch.get_num_threads()
    code, out, err = command("bench", "train", "--quick", "--json")
    assert code == 0
    assert "one epoch of a trial" in err
    found = json.loads(out)
    assert found["data"] == "synthetic random images"
    assert set(found["parts"]) == {
        "network",
        "training batches",
        "updates",
        "validation batches",
        "validation forward",
        "bookkeeping",
        "checkpoints",
        "weights",
    }
    assert 0 < found["overhead"] < 1
    assert list(found["batch_images_per_second"]) == ["64", "128", "256"]
    assert found["times_recipe_batch"]["64"] == 1
    numbers = [found[key] for key in found if key.startswith("times_") and key != "times_recipe_batch"]
    assert all(positive(number) for number in [*numbers, *found["parts"].values()])
    assert found["environment"]["threads"] == 1
    assert torch.get_num_threads() == threads


def test_bench_train_in_words(command, monkeypatch):
    from skexplore.training import benchmark as bench_train

    monkeypatch.setattr(bench_train, "measure", lambda *_args, **_options: 1000.0)
    code, out, _ = command("bench", "train", "--quick")
    assert code == 0
    for words in (
        "synthetic",
        "outside updates",
        "2 processes x 1 thread",
        "batch 256",
        "NCHW",
        "Method",
        "torch",
    ):
        assert words in out


def test_bench_train_without_the_data_set_says_so(command, tmp_path):
    code, out, err = command("bench", "train", "--data-dir", str(tmp_path / "nowhere"))
    assert (code, out) == (2, "")
    assert "nowhere" in err


def test_throughput_is_positive_and_leaves_the_callers_generator_alone():
    before = torch.get_rng_state()
    assert positive(throughput(spec(), "cpu", 0.05))
    assert torch.equal(torch.get_rng_state(), before)


def test_an_update_that_takes_longer_than_the_time_given_is_the_measurement():
    assert positive(throughput(spec(recipe=Recipe(epochs=1, batch_size=64)), "cpu", 1e-6))


def test_two_devices_are_measured_together_in_processes():
    assert positive(measure(spec(), ["cpu", "cpu"], 0.2))


def test_what_the_user_can_mend_is_said_as_such():
    with pytest.raises(UserError, match="seconds"):
        throughput(spec(), "cpu", 0)
    with pytest.raises(UserError, match="no device"):
        measure(spec(), [], 1)
    with pytest.raises(UserError, match="groups 2"):
        measure(spec(block="k3g2"), ["cpu"], 1)


def test_a_device_that_is_not_there_is_named():
    with pytest.raises(StudyError, match="nothing:7"):
        measure(spec(), ["cpu", "nothing:7"], 0.1)


def test_a_measurement_that_is_killed_says_what_takes_less(monkeypatch):
    dead = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
    start = subprocess.Popen
    monkeypatch.setattr(subprocess, "Popen", lambda _, **more: start(dead, **more))
    with pytest.raises(StudyError, match="probably out of memory; use fewer --workers"):
        measure(spec(), ["cpu"], 0.05)
