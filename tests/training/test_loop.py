"""Training in segments, by both schedules, and what a job leaves behind at a rung and at the end."""

from __future__ import annotations

import pickle
import zipfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch

from skexplore.arch.costs import net_id
from skexplore.study.recipe import Recipe, Split, TrainSpec
from skexplore.training import segment as trial
from skexplore.training.loop import Data, learning_rate, prepare, train_segment
from skexplore.training.messages import Job

BACKBONE = "8x4d-1111-s2"
STEPS = Recipe(epochs=4, batch_size=32, schedule="steps", nesterov=False)
ONE_CYCLE = Recipe(epochs=4, batch_size=32)
MUON = Recipe(epochs=4, batch_size=32, lr=0.04, optimizer="muon", whiten=True, crop=False)


def spec(recipe: Recipe = ONE_CYCLE, **changes) -> TrainSpec:
    base = TrainSpec(
        block="k3+k3d2",
        net_id=net_id("k3+k3d2", BACKBONE),
        backbone=BACKBONE,
        recipe=recipe,
        split=Split(dataset="synthetic", train_images=96, val_images=40),
        seed=0,
    )
    return replace(base, **changes)


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def data() -> Data:
    generator = torch.Generator().manual_seed(0)

    def draw(count):
        images = torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)
        return images, torch.randint(10, (count,), generator=generator)

    images, labels = draw(96)
    val_images, val_labels = draw(40)
    return Data(images=images, labels=labels, val_images=val_images, val_labels=val_labels)


def bits(network, curve):
    """Everything a training gives but the time it took."""
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    return state, [(e.epoch, e.train_loss, e.val_loss, e.val_error) for e in curve]


def assert_same_bits(one, two):
    assert one[1] == two[1]
    assert one[0].keys() == two[0].keys()
    assert all(torch.equal(one[0][name], two[0][name]) for name in one[0])


def test_steps_are_a_tenth_from_half_of_the_training_and_a_hundredth_from_three_quarters():
    recipe = Recipe(epochs=300, lr=0.1, schedule="steps")
    assert [learning_rate(recipe, step, 1000) for step in (0, 499, 500, 749, 750, 999)] == [
        0.1,
        0.1,
        0.01,
        0.01,
        0.001,
        0.001,
    ]


@pytest.mark.parametrize("schedule", ["one_cycle", "steps"])
def test_each_cycle_is_a_whole_schedule(schedule):
    """Warm restarts: three trainings of 3, 6 and 18 epochs, one after the other, each annealed at its end."""
    recipe = Recipe(epochs=27, schedule=schedule, cycles=(3, 9))
    rates = [learning_rate(recipe, step, 270) for step in range(270)]
    apart = [
        learning_rate(Recipe(epochs=epochs, schedule=schedule), step, 10 * epochs)
        for epochs in (3, 6, 18)
        for step in range(10 * epochs)
    ]
    assert rates == apart
    assert max(rates[27:30] + rates[87:90]) < 0.02 < rates[35]


def test_an_unknown_schedule_is_not_taken_for_another():
    with pytest.raises(AssertionError, match="cosine"):
        learning_rate(Recipe(epochs=1, schedule="cosine"), 0, 10)


def test_the_recipe_says_whether_nesterov_and_the_data_set_how_many_classes():
    network, optimizer = prepare(spec(STEPS, split=Split(classes=100)), "cpu")
    assert network.classifier.out_features == 100
    assert optimizer.defaults["nesterov"] is False
    assert prepare(spec(), "cpu")[1].defaults["nesterov"] is True


@pytest.mark.parametrize("recipe", [ONE_CYCLE, STEPS, MUON], ids=["one_cycle", "steps", "muon"])
def test_cut_into_segments_a_training_is_the_same_to_the_bit(data, tmp_path, recipe):
    whole = bits(*train_segment(spec(recipe), data, checkpoint=tmp_path / "whole", until=4))
    again = bits(*train_segment(spec(recipe), data, checkpoint=tmp_path / "again", until=4))
    assert_same_bits(whole, again)
    for until in (1, 3, 4):
        cut = bits(*train_segment(spec(recipe), data, checkpoint=tmp_path / "cut", until=until))
        assert cut[1] == whole[1][:until]
    assert_same_bits(whole, cut)


def test_a_checkpoint_at_the_end_of_the_segment_is_returned_as_it_is(data, tmp_path):
    checkpoint = tmp_path / "c.pt"
    network, curve = train_segment(spec(), data, checkpoint=checkpoint, until=2)
    written = checkpoint.read_bytes()

    def told(_epoch):
        raise AssertionError("nothing was left to train")

    again, stored = train_segment(spec(), data, checkpoint=checkpoint, until=2, on_epoch=told)
    assert stored == curve  # with its seconds
    assert_same_bits(bits(network, curve), bits(again, stored))
    assert checkpoint.read_bytes() == written


def test_the_checkpoint_is_on_disk_before_anyone_hears_of_its_epoch(data, tmp_path):
    checkpoint, seen = tmp_path / "c.pt", []

    def look(epoch):
        seen.append(len(torch.load(checkpoint, weights_only=True)["curve"]) == epoch.epoch)
        return True

    train_segment(spec(), data, checkpoint=checkpoint, until=2, on_epoch=look)
    assert seen == [True, True]


class Harm:
    def __reduce__(self):
        return Path.touch, (Path("executed"),)


def cut_in_half(content: bytes) -> bytes:
    return content[: len(content) // 2]


def one_weight_changed(content: bytes) -> bytes:
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]


def of_another_network(_content: bytes) -> bytes:
    """Everything loads but the last: the optimizer's state."""
    network, _ = prepare(spec(seed=1), "cpu")
    other = {"network": network.state_dict(), "optimizer": {}, "curve": []}
    torch.save(other, "other")
    return Path("other").read_bytes()


def of_another_kind(_content: bytes) -> bytes:
    with zipfile.ZipFile("other.zip", "w") as archive:
        archive.writestr("letter.txt", "hello")
    return Path("other.zip").read_bytes()


def of_another_shape(_content: bytes) -> bytes:
    network, optimizer = prepare(spec(block="k3+k3"), "cpu")
    weights = {name: each[..., None] for name, each in network.state_dict().items()}
    torch.save({"network": weights, "optimizer": optimizer.state_dict(), "curve": []}, "other")
    return Path("other").read_bytes()


@pytest.mark.parametrize(
    "damage",
    [
        cut_in_half,
        one_weight_changed,
        of_another_network,
        of_another_kind,
        of_another_shape,
        lambda _: b"",
        lambda _: np.random.default_rng(0).bytes(5000),
        lambda _: pickle.dumps(Harm()),
        lambda _: pickle.dumps({"network": Harm(), "optimizer": Harm(), "curve": Harm()}, protocol=2),
    ],
    ids=["cut", "changed", "other", "kind", "shape", "empty", "random", "code", "code inside"],
)
def test_from_a_damaged_checkpoint_a_training_begins_again_and_says_so(data, tmp_path, caplog, damage):
    checkpoint = tmp_path / "c.pt"
    train_segment(spec(), data, checkpoint=checkpoint, until=1)
    checkpoint.write_bytes(damage(checkpoint.read_bytes()))
    again = bits(*train_segment(spec(), data, checkpoint=checkpoint, until=2))
    assert_same_bits(again, bits(*train_segment(spec(), data, checkpoint=tmp_path / "whole", until=2)))
    assert not Path("executed").exists()
    (said,) = caplog.messages
    assert said.startswith(f"{checkpoint}: damaged (")
    assert said.endswith("; the training begins again from its start")
    assert "weights_only" not in said
    assert len(torch.load(checkpoint, weights_only=True)["curve"]) == 2  # whole again


def test_a_checkpoint_that_the_system_does_not_hand_out_is_no_damage(data, tmp_path, caplog):
    """The training must not begin again over a file that may be sound."""
    checkpoint = tmp_path / "c.pt"
    checkpoint.mkdir()
    with pytest.raises(IsADirectoryError):
        train_segment(spec(), data, checkpoint=checkpoint, until=1)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("point", "says"),
    [
        ("torch.load", "DefaultCPUAllocator: can't allocate memory"),
        ("torch.Tensor.copy_", "CUDA error: unspecified launch failure"),
        ("torch.optim.SGD.load_state_dict", "CUDA error: unspecified launch failure"),
    ],
)
def test_a_machine_that_fails_over_a_sound_checkpoint_is_no_damage(
    data, tmp_path, caplog, monkeypatch, point, says
):
    checkpoint = tmp_path / "c.pt"
    train_segment(spec(), data, checkpoint=checkpoint, until=1)
    written, made = checkpoint.read_bytes(), prepare(spec(), "cpu")

    def fail(*_args, **_options):
        raise RuntimeError(says)

    with monkeypatch.context() as patch:
        patch.setattr("skexplore.training.loop.prepare", lambda *_: made)
        patch.setattr(point, fail)
        with pytest.raises(RuntimeError, match=says):
            train_segment(spec(), data, checkpoint=checkpoint, until=2)
    assert caplog.messages == []
    assert checkpoint.read_bytes() == written


def test_every_piece_of_work_is_told_of(data, tmp_path):
    laps = []
    train_segment(spec(), data, checkpoint=tmp_path / "c", until=1, lap=laps.append)
    assert laps[0] == "network"
    assert laps[-1] == "checkpoints"
    assert laps.count("updates") == laps.count("training batches") == 3
    assert laps.count("validation forward") == laps.count("validation batches") == 1


@pytest.fixture
def job(synthetic_data) -> Job:
    return Job(
        spec=spec(), until=2, study_folder=str(Path("study").absolute()), data_folder=str(synthetic_data)
    )


def test_a_segment_before_the_last_completes_with_a_checkpoint_and_no_weights(job):
    outcome = trial.run_job(job, "cpu", lambda _: True)
    assert (outcome.status, len(outcome.curve)) == ("complete", 2)
    assert len(torch.load(job.checkpoint, weights_only=True)["curve"]) == 2
    assert not Path("study/weights").exists()
    last = trial.run_job(replace(job, until=4), "cpu", lambda _: True)
    assert (last.status, last.curve[:2]) == ("complete", outcome.curve)
    weights = (Path("study/weights") / f"{job.spec.key}.safetensors").read_bytes()
    assert (outcome.weights_sha256, last.weights_sha256) == ("", sha256(weights).hexdigest())


def test_a_segment_told_to_end_at_its_end_is_complete(job):
    assert trial.run_job(job, "cpu", lambda epoch: epoch.epoch < 2).status == "complete"
    assert trial.run_job(job, "cpu", lambda epoch: False).status == "complete"  # nothing is left of it


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "out of memory: OutOfMemoryError: CUDA"),
        (MemoryError(), "out of memory: MemoryError"),
        (RuntimeError("no kernel"), "RuntimeError: no kernel"),
        (ValueError("what to allocate"), "ValueError: what"),
    ],
)
def test_running_out_of_memory_is_said_first(job, monkeypatch, error, reason):
    def fail(*_args, **_options):
        raise error

    monkeypatch.setattr(trial, "train_segment", fail)
    outcome = trial.run_job(job, "cpu", lambda _: True)
    assert outcome.status == "failed"
    assert outcome.reason.startswith(reason)


def test_what_torch_says_when_the_memory_of_a_machine_is_spent_is_known(job, monkeypatch):
    monkeypatch.setattr(trial, "train_segment", lambda *_args, **_options: torch.empty(2**55))
    outcome = trial.run_job(job, "cpu", lambda _: True)
    assert outcome.status == "failed"
    assert outcome.reason.startswith("out of memory: RuntimeError")
