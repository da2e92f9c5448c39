"""Latency: what is timed is the network, and what was measured is said."""

from __future__ import annotations

import time

import pytest
import torch

from skexplore.arch.architecture import Architecture
from skexplore.errors import UserError
from skexplore.nn import latency
from skexplore.nn.device import cpu_model
from skexplore.nn.latency import DTYPES, WARM_UP, LatencyMeter, measure_latency
from skexplore.nn.network import build
from skexplore.study.latency import LATENCY_DTYPES

OWN = Architecture.of("k3+k3d2", "8x4d-1111-s2")


def test_the_time_of_a_batch_is_that_of_its_network(monkeypatch):
    seen = []

    def slow(architecture):
        network = build(architecture)
        network.register_forward_pre_hook(
            lambda _module, inputs: (seen.append(inputs[0]), time.sleep(0.02))[-1]
        )
        return network

    monkeypatch.setattr(latency, "build", slow)
    found = measure_latency(OWN, resolution=(16, 24), batch=3, seconds=0.1)
    assert 20 <= found.low_ms <= found.median_ms <= found.high_ms
    assert len(seen) == found.runs + WARM_UP
    assert {tuple(images.shape) for images in seen} == {(3, 3, 16, 24)}
    assert all(images.is_contiguous(memory_format=torch.channels_last) for images in seen)
    assert (found.batch, found.dtype, found.threads) == (3, "float32", torch.get_num_threads())


def test_other_numbers_and_an_image_of_one_channel():
    gray = Architecture.of("k3+k3d2", "8x4d-1111-s2", in_channels=1)
    found = measure_latency(gray, dtype="bfloat16", seconds=0.1)
    assert found.dtype == "bfloat16"
    assert found.runs >= 5
    assert found.device == cpu_model()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"dtype": "int8"}, "--dtype int8: must be one of"),
        ({"device": "meta"}, "--device meta: must be one of cpu, cuda, mps"),
    ],
)
def test_what_is_not_there(how, said):
    with pytest.raises(UserError, match=said):
        measure_latency(OWN, **how)


def test_a_batch_that_does_not_fit_a_device_is_no_traceback(monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(latency, "_runs", full)
    with pytest.raises(UserError, match="7 images at a time do not fit its memory; lower --batch"):
        measure_latency(OWN, batch=7)


def test_what_slows_both_networks_alike_is_not_in_their_ratio(monkeypatch):
    clock = {"run": 0}

    def runs(architecture, *_):
        alone = {"8x4d-1111-s2": 10.0, "8x4d-1111": 25.0}[architecture.backbone.name]

        def run():
            clock["run"] += 1
            load = 1 + clock["run"] / 20 + (clock["run"] % 9 == 0)  # it grows, and now and then it jumps
            return alone * load

        return run

    monkeypatch.setattr(latency, "_runs", runs)
    monkeypatch.setattr(latency, "TURN_SECONDS", 0.0)
    meter = LatencyMeter(OWN, device="cpu", batch=1, dtype="float32", threads=1)
    assert meter.times_known(Architecture.of("k3+k3d2", "8x4d-1111")) == pytest.approx(2.5, rel=0.02)


def test_a_meter_measures_on_its_own_threads_and_leaves_those_of_the_process():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        meter = LatencyMeter(OWN, device="cpu", batch=2, dtype="float32", threads=1)
        assert meter.machine == cpu_model()
        assert meter.known_ms() > 0
        # twice as many units of the same kind take longer
        deep = Architecture.of("k3+k3d2", "8x4d-3333-s2")
        assert meter.times_known(deep) > 1.5
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"dtype": "int8"}, "--latency-dtype int8: must be one of"),
        ({"device": "meta"}, "--latency-device meta: must be one of cpu, cuda, mps"),
        ({"device": "cuda:77", "threads": None}, "--latency-device 'cuda:77': torch cannot use it here"),
    ],
)
def test_a_meter_of_what_is_not_there(how, said):
    with pytest.raises(UserError, match=said):
        LatencyMeter(OWN, **({"device": "cpu", "batch": 1, "dtype": "float32", "threads": 1} | how))


def test_a_search_may_ask_for_the_types_of_numbers_that_are_measured():
    assert tuple(DTYPES) == LATENCY_DTYPES
