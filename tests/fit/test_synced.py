"""Several processes as one training: two gloo processes against one with the same batches."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from skexplore.study import load_fit

# each process trains on its half of every batch; the first prints weights and losses
TWO = """
import json, sys, torch
from pathlib import Path
from skexplore.fit.loop import Fitting
from skexplore.fit.synced import join, leave
from skexplore.nn import seeded_build
from skexplore.study import FitRecipe

class Noise:
    train_count, batch_size = 24, 8
    def __init__(self, place): self.place = place
    def train(self, epoch, start):
        for number in range(start, 3):
            generator = torch.Generator().manual_seed(100 * epoch + number)
            images = torch.randn(8, 3, 16, 16, generator=generator)
            labels = torch.randint(10, (8,), generator=generator)
            # the parts that one process takes in turns are made of the same images
            halves = torch.arange(8).view(int(sys.argv[2]), -1)
            own = torch.cat([half[self.place.rank :: self.place.world] for half in halves])
            yield images[own].double(), labels[own]
    def eval(self, part, side): yield from self.train(9, 2)
    def count(self, part): return 8

place = join("cpu")
recipe = FitRecipe(epochs=2, batch_size=8, lr=0.05, warmup=1, label_smoothing=0.1, ema=0.9)
network = seeded_build("k3+k3d2", "4x4d-111-s2", seed=0).double()
fitting = Fitting(network, recipe, 10, place, seed=0, checkpoint=Path(sys.argv[1]), accumulate=int(sys.argv[2]))
curve = fitting.run(Noise(place), 16)
if place.first:
    state = {name: value.double().flatten().tolist()[:50] for name, value in fitting.kept.state_dict().items()}
    print(json.dumps([[each.train_loss, each.val_loss, each.val_error] for each in curve] + [state]))
leave(place)
"""


def processes(count: int, *words: str) -> list[str]:
    """Run Python with ``words`` as the processes of one training and return what each printed."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [
        subprocess.Popen(
            [sys.executable, *words],
            env=os.environ
            | {"RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_RANK": str(rank)}
            | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]
    ended = [each.communicate(timeout=240) for each in started]
    assert all(each.returncode == 0 for each in started), ended
    return [out for out, _ in ended]


@pytest.mark.slow
def test_two_processes_are_one_training_to_rounding(tmp_path):
    accumulate = "2"
    one, *_ = processes(1, "-c", TWO, str(tmp_path / "one.pt"), accumulate)
    two, nothing = processes(2, "-c", TWO, str(tmp_path / "two.pt"), accumulate)
    assert nothing == ""
    *curve, state = json.loads(one)
    *own_curve, own_state = json.loads(two)
    for expected, found in zip(curve, own_curve, strict=True):
        assert found == pytest.approx(expected, rel=1e-6)  # losses are measured in float32
    assert own_state.keys() == state.keys()
    for name, values in state.items():
        assert own_state[name] == pytest.approx(values, rel=1e-7, abs=1e-10), name


@pytest.mark.slow
def test_torchrun_trains_as_one_process_does(tmp_path, arrays):
    (tmp_path / "slow.yaml").write_text("of: paper-cifar\nlr: 0.01\nepochs: 3\n")
    words = [
        "k3+k3d2",
        "--data",
        str(arrays),
        "--backbone",
        "4x4d-111-s2",
        "--recipe",
        str(tmp_path / "slow.yaml"),
    ]
    words += ["--device", "cpu"]
    torchrun = [
        str(Path(sys.executable).with_name("torchrun")),
        "--nproc-per-node",
        "2",
        "-m",
        "skexplore.fit",
    ]
    alone = [sys.executable, "-m", "skexplore.fit"]
    curves = []
    for name, command in (("one", alone), ("two", torchrun)):
        done = subprocess.run(
            [*command, *words, "--out", str(tmp_path / name)],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("epoch 3 of 3") == 1  # one process speaks
        curves.append(load_fit(tmp_path / name))
    one, two = curves
    for expected, found in zip(one.curve, two.curve, strict=True):
        assert found.train_loss == pytest.approx(expected.train_loss, abs=1e-4)
        assert found.val_loss == pytest.approx(expected.val_loss, abs=1e-4)
    assert two.metrics.environment["workers"] == "2 x cpu"
    assert one.spec == two.spec


@pytest.mark.slow
def test_a_mistake_is_said_once_by_all_processes(tmp_path, arrays):
    words = [
        "k3+k3d2",
        "--data",
        str(arrays),
        "--backbone",
        "4x4d-111-s2",
        "--epochs",
        "1",
        "--device",
        "cpu",
    ]
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("x")
    torchrun = [
        str(Path(sys.executable).with_name("torchrun")),
        "--nproc-per-node",
        "2",
        "-m",
        "skexplore.fit",
    ]
    done = subprocess.run(
        [*torchrun, *words, "--out", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert len(said) == 1
    assert "is not empty and holds no training" in said[0]
    assert "Connection closed" not in done.stderr
