"""``skexplore fit`` and its report as a user types them."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest

WORDS = ("fit", "k3+k3d2", "--backbone", "4x4d-111-s2", "--device", "cpu", "--workers", "0")


@pytest.fixture
def shades(tmp_path, monkeypatch):
    """An ``.npz`` of synthetic images in the current folder."""
    monkeypatch.setenv("SKEXPLORE_CACHE", str(tmp_path / "cache"))
    labels = np.arange(120) % 3
    images = np.random.default_rng(0).integers(0, 150, (120, 32, 32, 3)) + 40 * labels[:, None, None, None]
    np.savez("shades.npz", train_images=images.astype(np.uint8), train_labels=labels)
    return "shades.npz"


def test_train_report_and_repeat(command, shades):
    code, out, err = command(*WORDS, "--data", shades, "--epochs", "2")
    assert code == 0, err
    assert "epoch 2 of 2: training loss" in err
    folder = Path("studies/fit-shades-k3-k3d2-4x4d-111-s2-s0")
    assert out.splitlines()[0] == f"k3+k3d2 in 4x4d-111-s2 in {folder}"
    assert "validation " in out
    assert f"skexplore report {folder}" in out
    code, again, err = command(*WORDS, "--data", shades, "--epochs", "2")
    assert (code, again) == (0, out)
    assert "epoch" not in err
    code, text, _ = command(*WORDS, "--data", shades, "--epochs", "2", "--json")
    assert json.loads(text)["measured"][0]["part"] == "val"
    code, out, err = command("report", str(folder), "--no-picture")
    assert code == 0, err
    assert f"reports/{folder.name}/index.html" in out.splitlines()
    code, out, err = command("report", folder.name, "--no-picture")
    assert code == 0, err
    assert command(*WORDS, "--data", shades, "--epochs", "2", "--license", "mit")[0] == 0
    code, out, err = command(*WORDS, "--data", shades, "--epochs", "2", "--test")
    assert code == 0, err
    assert 'license: "mit"' in (folder / "README.md").read_text()
    assert "test " in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("fit",), "give either a BLOCK such as k3+k3d2 or --system NAME"),
        (("fit", "k3", "--data", "nowhere/images"), "nowhere/images: there is no such folder or file"),
        (("fit", "k3", "--data", "cifar11"), "cifar11"),
        (("fit", "k3", "--recipe", "fast"), "--recipe fast: must be paper, paper-cifar, modern or a .yaml file"),
        (("fit", "k3", "--device", "tpu"), "--device tpu: not on this machine; give one of cpu"),
        (("fit", "k3", "--backbone", "sknet-29"), "unknown backbone 'sknet-29'"),
        (("fit", "k3+k5g48", "--backbone", "4x4d-111"), "groups"),
        (("fit", "k3;k3;k5;k3",), "stages"),
        (("fit", "--system", "sknet29", "--backbone", "sknet50"), "sknet29 has its own, sknet29; leave it out"),
        (("fit", "k3", "--data", "./shades.npz@64"), "give the size by --resolution 64, with --data ./shades.npz"),
        (("fit", "k3", "--recipe", "modern", "--epochs", "2"), "warmup: 5 epochs of 2: must be fewer"),
    ],
)  # fmt: skip
def test_wrong_input_is_said_and_nothing_is_written(command, words, said):
    code, _, err = command(*words)
    assert code == 2, err
    assert said in err
    assert not list(Path("studies").glob("*/fit.json"))


def test_other_options_for_the_same_folder_are_refused(command, shades):
    assert command(*WORDS, "--data", shades, "--epochs", "1", "--out", "x")[0] == 0
    code, _, err = command(*WORDS, "--data", shades, "--epochs", "2", "--out", "x")
    assert code == 2
    assert "x: holds another training (recipe epochs 2 here, 1 there)" in err


def test_a_tracker_hears_each_epoch_once_the_training_has_begun(command, shades):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    words = (*WORDS, "--data", shades, "--epochs", "2", "--out", "x", "--track", "tensorboard")
    for _ in range(2):  # the second has nothing to tell
        code, _, err = command(*words)
        assert code == 0, err
    (run,) = Path("x/tensorboard").iterdir()
    assert len(list(run.iterdir())) == 1
    events = EventAccumulator(str(run))
    events.Reload()
    assert [each.step for each in events.Scalars("val_error")] == [1, 2]
    assert [each.step for each in events.Scalars("val_error_32px")] == [2]
    code, _, err = command(*WORDS, "--data", shades, "--out", "y", "--track", "tensorbord")
    assert code == 2
    assert "did you mean tensorboard?" in err


def test_a_training_and_a_study_have_no_report_together(command, shades):
    assert command(*WORDS, "--data", shades, "--epochs", "1", "--out", "x")[0] == 0
    code, _, err = command("report", "x", "y")
    assert code == 2
    assert "y: is no training of a whole network, as x is; give either kind" in err


def test_ctrl_c_keeps_a_checkpoint_and_the_command_goes_on(command, shades, monkeypatch):
    from skexplore.cli import fit as module

    tell = module._print_epoch

    def press(progress):
        tell(progress)
        if len(progress.curve) == 1:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(module, "_print_epoch", press)
    code, out, err = command(*WORDS, "--data", shades, "--epochs", "2", "--out", "x")
    assert (code, out) == (130, "")
    assert "interrupted. Repeat the same command to go on from the last checkpoint." in err
    monkeypatch.setattr(module, "_print_epoch", tell)
    code, _, err = command(*WORDS, "--data", shades, "--epochs", "2", "--out", "x")
    assert code == 0, err
    assert "note: going on after epoch 1, update 1" in err
