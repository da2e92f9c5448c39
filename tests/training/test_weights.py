"""Weights on disk: what is written is read back, and nothing damaged gets through."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from skexplore.errors import UserError
from skexplore.nn.network import seeded_build
from skexplore.training.messages import weights_file
from skexplore.training.weights import load_weights, save_weights


def test_a_networks_weights_round_trip():
    network = seeded_build("k3+k3d2", "8x4d-1111-s2", seed=0)
    path = weights_file(Path("study"), "abc")
    assert path == Path("study/weights/abc.safetensors")
    save_weights(path, network.state_dict())
    _, back = load_weights(path)
    other = seeded_build("k3+k3d2", "8x4d-1111-s2", seed=1)
    other.load_state_dict(back)
    for name, tensor in network.state_dict().items():
        assert back[name].dtype == tensor.dtype
        assert torch.equal(other.state_dict()[name], tensor)
    assert [file.name for file in path.parent.iterdir()] == ["abc.safetensors"]


def test_views_and_tensors_that_need_gradients_are_written_by_value():
    base = torch.arange(12.0, requires_grad=True).reshape(3, 4)
    save_weights(Path("w"), {"column": base[:, 1], "turned": base.T})
    _, back = load_weights(Path("w"))
    assert back["column"].tolist() == [1, 5, 9]
    assert torch.equal(back["turned"], base.detach().T)
    assert not back["turned"].requires_grad


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_a_truncated_file_is_a_user_error(kept):
    save_weights(Path("w"), {"a": torch.ones(64)})
    Path("w").write_bytes(Path("w").read_bytes()[:kept])
    with pytest.raises(UserError, match=r"w: not a safetensors file, or damaged"):
        load_weights(Path("w"))


def test_a_pickle_is_refused_not_run():
    torch.save({"a": torch.ones(2)}, "w")
    with pytest.raises(UserError, match=r"w: not a safetensors file, or damaged"):
        load_weights(Path("w"))


def test_a_missing_file_is_a_user_error():
    with pytest.raises(UserError, match=r"absent: cannot be read \(No such file"):
        load_weights(Path("absent"))
