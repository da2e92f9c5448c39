"""Latency: what is timed is the network, and what was measured is said."""

from __future__ import annotations

import time

import pytest
import torch

from skexplore.arch.architecture import Architecture
from skexplore.errors import UserError
from skexplore.nn import latency
from skexplore.nn.device import cpu_model
from skexplore.nn.latency import WARM_UP, measure_latency
from skexplore.nn.network import build

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

    monkeypatch.setattr(latency, "_timed", full)
    with pytest.raises(UserError, match="7 images at a time do not fit its memory; lower --batch"):
        measure_latency(OWN, batch=7)
