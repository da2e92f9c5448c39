"""Real worker processes on a tiny synthetic set: death, a refused write, pausing, and the cut of a training."""

from __future__ import annotations

import ctypes
import os
import pickle
import pickletools
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from skexplore.arch.costs import net_id
from skexplore.errors import UserError
from skexplore.study.recipe import Recipe, Split, TrainSpec
from skexplore.study.record import Epoch
from skexplore.training import pool as pool_module
from skexplore.training.batches import load_split
from skexplore.training.loop import Data, DivergedError, learning_rate, train_segment
from skexplore.training.messages import READY, EpochEvent, Job, Outcome, WorkerError
from skexplore.training.pool import Pool, default_devices, device_name

BACKBONE = "8x4d-1111-s2"


def spec(block: str = "k3+k3d2", **changes) -> TrainSpec:
    base = TrainSpec(
        block=block,
        net_id=net_id(block, BACKBONE),
        backbone=BACKBONE,
        recipe=Recipe(epochs=3, batch_size=32),
        split=Split(dataset="synthetic", train_images=160, val_images=64),
        seed=0,
    )
    return replace(base, **changes)


@pytest.fixture
def job(synthetic_data: Path) -> Job:
    return Job(
        spec=spec(), until=3, study_folder=str(Path("study").absolute()), data_folder=str(synthetic_data)
    )


def hear(pool: Pool) -> list:
    """Return everything said until a job is done."""
    said = []
    while not any(isinstance(event, Outcome) for event in said):
        said.extend(pool.events(timeout=1))
    return said


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """One pool for the tests that leave it idle: a worker takes seconds to load torch and build a first network."""
    with Pool(["cpu"], tmp_path_factory.mktemp("pool") / "log") as pool:
        yield pool


def test_a_job_comes_back_with_its_curve_and_leaves_weights(pool, job):
    pool.start(job)
    assert pool.idle == 0
    *epochs, done = hear(pool)
    assert pool.idle == 1
    assert [event.epoch.epoch for event in epochs if isinstance(event, EpochEvent)] == [1, 2, 3]
    assert done.status == "complete"
    assert done.curve == tuple(event.epoch for event in epochs)
    assert torch.backends.cpu.get_cpu_capability() in done.device
    assert done.device == device_name("cpu")
    assert done.device.endswith(", 1 thread")
    assert (Path("study/weights") / f"{job.spec.key}.safetensors").exists()


def test_a_killed_worker_fails_its_job_and_is_replaced(pool, job):
    pool.start(job)
    while not list(pool.events(timeout=1)):  # its first epoch
        pass
    os.kill(pool._workers[0].child.process.pid, signal.SIGKILL)
    done = hear(pool)[-1]
    assert done.status == "failed"
    assert "out of memory?" in done.reason
    pool.start(job)
    assert hear(pool)[-1].status == "complete"


def test_a_worker_that_dies_before_it_begins_hands_its_job_on(job):
    with Pool(["cpu"], Path("log")) as pool:
        first = pool._workers[0].child.process.pid
        pool.start(job)
        os.kill(first, signal.SIGKILL)
        assert hear(pool)[-1].status == "complete"
        assert pool._workers[0].child.process.pid != first


def test_an_idle_worker_that_dies_is_replaced(pool, job):
    pool.start(job)
    hear(pool)
    first = pool._workers[0].child.process.pid
    os.kill(first, signal.SIGKILL)
    while pool._workers[0].child.process.pid == first:
        assert list(pool.events(timeout=1)) == []
    pool.start(job)
    assert hear(pool)[-1].status == "complete"


def test_after_a_failure_a_worker_on_a_device_is_replaced_before_it_is_used_again(job):
    """``cpu:0`` stands for a GPU here: any device but plain ``cpu`` may be left unusable by an error."""
    bad = replace(job, spec=replace(job.spec, block="k3g2"))
    with Pool(["cpu:0"], Path("log")) as pool:
        first = pool._workers[0].child.process.pid
        pool.start(bad)
        assert hear(pool)[-1].status == "failed"
        assert pool._workers[0].child.process.pid != first
        pool.start(job)
        assert hear(pool)[-1].status == "complete"


def test_workers_that_never_begin_end_the_run(monkeypatch):
    monkeypatch.setattr("sys.executable", "/bin/false")

    def listen(pool):
        while True:
            list(pool.events(timeout=1))

    with Pool(["cpu"], Path("log")) as pool, pytest.raises(WorkerError, match="end as they start"):
        listen(pool)


def test_a_worker_of_other_code_is_given_no_job_and_ends_the_run(job, monkeypatch):
    monkeypatch.setattr(pool_module, "READY", READY | {"Recipe": READY["Recipe"][::-1]})
    with Pool(["cpu"], Path("log")) as pool:
        pool.start(job)
        with pytest.raises(WorkerError, match="skexplore was changed while this search runs; repeat"):
            hear(pool)
    assert not Path("study").exists()


def test_a_worker_that_is_ready_names_the_fields_of_all_that_crosses(job):
    epoch = Epoch(epoch=1, train_loss=1.0, val_loss=1.0, val_error=0.5, seconds=1.0)
    said = (job, EpochEvent(key="k", epoch=epoch), Outcome(key="k", status="complete", curve=(epoch,)))
    steps = pickletools.genops(pickle.dumps(said, protocol=2))  # which names a class in one step
    names = [word.split() for step, word, _ in steps if step.name == "GLOBAL"]
    assert {name for module, name in names if module.startswith("skexplore.")} == set(READY)
    assert READY["Job"] == ["spec", "until", "study_folder", "data_folder", "test"]


def test_missing_data_or_a_refused_write_ends_the_run_and_names_the_place(job):
    """One worker for both: it tells its coordinator, which ends it, and does not die by itself."""
    with Pool(["cpu"], Path("log")) as pool:
        pool.start(replace(job, data_folder=str(Path("nowhere").absolute())))
        with pytest.raises(WorkerError, match="nowhere"):
            hear(pool)
        Path("study").mkdir()
        Path("study/checkpoints").write_text("a file where a folder should be")
        pool._workers[0].child.send(job)
        with pytest.raises(WorkerError, match="checkpoints"):
            hear(pool)


def test_a_network_that_cannot_be_built_fails_with_the_reason(pool, job):
    pool.start(replace(job, spec=replace(job.spec, block="k3g2")))
    (done,) = hear(pool)
    assert done.status == "failed"
    assert "groups 2" in done.reason


def test_a_paused_job_goes_on_from_its_checkpoint_and_ends_the_same(pool, job):
    with Pool(["cpu"], Path("log")) as pausing:
        pausing.start(job)
        pausing.pause()
        paused = hear(pausing)[-1]
    assert paused.status == "paused"
    assert len(paused.curve) < 3
    assert job.checkpoint.exists()
    pool.start(job)
    rest = hear(pool)[-1]
    whole_job = replace(job, study_folder=str(Path("other").absolute()))
    pool.start(whole_job)
    whole = hear(pool)[-1]
    strip = [(e.epoch, e.train_loss, e.val_loss, e.val_error) for e in whole.curve]
    assert [(e.epoch, e.train_loss, e.val_loss, e.val_error) for e in rest.curve] == strip
    name = f"{job.spec.key}.safetensors"
    assert (Path("study/weights") / name).read_bytes() == (Path("other/weights") / name).read_bytes()


def test_a_worker_that_takes_the_place_of_a_dead_one_is_told_to_pause_too(job):
    with Pool(["cpu"], Path("log")) as pool:
        pool.start(job)
        pool.pause()
        os.kill(
            pool._workers[0].child.process.pid, signal.SIGKILL
        )  # before it was ready: its job is begun again
        outcome = hear(pool)[-1]
    assert outcome.status == "paused"
    assert len(outcome.curve) < 3


@pytest.fixture
def data(synthetic_data: Path) -> Data:
    images, labels, val_images, val_labels = load_split(
        synthetic_data, train_images=160, val_images=64, device="cpu"
    )
    return Data(images=images, labels=labels, val_images=val_images, val_labels=val_labels)


def test_training_learns(data, tmp_path):
    _, curve = train_segment(
        spec(recipe=Recipe(epochs=8, batch_size=16)), data, checkpoint=tmp_path / "c.pt", until=8
    )
    assert curve[-1].val_error < 0.5  # guessing is 0.9; brightness tells the synthetic classes apart
    assert curve[-1].train_loss < curve[0].train_loss


def test_another_seed_is_another_training_and_the_same_seed_the_same(data, tmp_path):
    def losses(seed, name):
        _, curve = train_segment(spec(seed=seed), data, checkpoint=tmp_path / name, until=1)
        return curve[0].train_loss, curve[0].val_loss

    assert losses(0, "a") == losses(0, "b")
    assert losses(0, "c") != losses(1, "d")


def test_training_does_not_depend_on_the_callers_generator(data, tmp_path):
    torch.manual_seed(1)
    _, one = train_segment(spec(), data, checkpoint=tmp_path / "a", until=1)
    torch.manual_seed(2)
    _, two = train_segment(spec(), data, checkpoint=tmp_path / "b", until=1)
    assert one[0].train_loss == two[0].train_loss


def test_a_loss_that_is_no_number_is_a_divergence(data, tmp_path):
    with pytest.raises(DivergedError, match="epoch 1"):
        train_segment(
            spec(recipe=Recipe(epochs=2, batch_size=32, lr=1e30)), data, checkpoint=tmp_path / "c", until=2
        )


def test_a_validation_loss_that_is_no_number_is_one_too(data, tmp_path):
    """One batch: the only training loss is finite, and the one update breaks the weights."""
    broken = spec(recipe=Recipe(epochs=2, batch_size=160, lr=1e30))
    with pytest.raises(DivergedError, match="validation loss") as error:
        train_segment(broken, data, checkpoint=tmp_path / "c", until=2)
    assert error.value.curve == ()


def test_the_schedule_rises_to_the_peak_and_falls_to_nothing():
    recipe = Recipe(epochs=1, lr=0.4, warmup=0.25)
    rates = [learning_rate(recipe, step, 100) for step in range(100)]
    peak = max(range(100), key=rates.__getitem__)
    assert rates[peak] == pytest.approx(0.4)
    assert peak in (24, 25)
    assert rates[:25] == sorted(rates[:25])
    assert rates[25:] == sorted(rates[25:], reverse=True)
    assert 0 < rates[-1] < 0.01


def test_workers_are_one_per_device():
    assert len(default_devices(3)) == 3
    assert default_devices(None)
    with pytest.raises(UserError, match="at least 1"):
        default_devices(0)


@pytest.mark.parametrize(
    ("platform", "driver", "file", "devices"),
    [
        ("linux", True, False, "cuda:0"),
        ("linux", False, True, "cuda:0"),
        ("linux", False, False, "cpu"),
        ("darwin", True, True, "cpu"),
        ("win32", False, False, "cuda:0"),
    ],
)
def test_gpus_are_counted_by_torch_where_there_may_be_some(
    monkeypatch, tmp_path, platform, driver, file, devices
):
    def load(_name):
        if not driver:
            raise OSError

    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr(ctypes, "CDLL", load)
    monkeypatch.setattr(pool_module, "GPU_FILES", (tmp_path if file else tmp_path / "none",))
    assert default_devices(1) == [devices]
