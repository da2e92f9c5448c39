"""From a request to a folder: what it holds, going on after a kill, and what is refused."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from skexplore.data import CIFAR
from skexplore.errors import StudyError, UserError
from skexplore.fit import FitRequest, Listener, fit
from skexplore.study import FIT_RECIPES, FitRecipe, FitSpec, load_fit

QUICK = FitRecipe(epochs=2, batch_size=40, lr=0.05, schedule="cosine", crop="pad", label_smoothing=0.0)
SPEC = FitSpec(block="k3+k3d2", backbone="4x4d-111-s2", resolution=32, content=CIFAR, recipe=QUICK)


@pytest.fixture(autouse=True)
def quick_program(request, monkeypatch):
    """Leave the export of torch's program, which takes seconds, to the tests that look at it."""
    if "handed_over" not in request.node.name:
        monkeypatch.setattr("skexplore.fit.folder._program", lambda *_: b"program")


def asked(folder, data, spec=SPEC, **options):
    return FitRequest(folder=folder, spec=spec, data=str(data), device="cpu", workers=0, **options)


def heard():
    notes, epochs = [], []
    return notes, epochs, Listener(on_note=notes.append, on_epoch=epochs.append)


def test_a_training_leaves_a_folder_that_says_what_it_is(tmp_path, arrays):
    _, epochs, listener = heard()
    found = fit(asked(tmp_path / "out", arrays, command="skexplore fit ..."), listener)
    assert {path.name for path in found.folder.iterdir()} >= {
        "fit.json", "curve.csv", "metrics.json", "model.safetensors", "block.py", "model.onnx", "model.pt2",
        "config.json", "timm_model.py", "README.md",
    }  # fmt: skip
    assert not (found.folder / "checkpoint.pt").exists()
    assert [each.curve[-1].epoch for each in epochs] == [1, 2]
    assert all(each.waiting is None for each in epochs)  # kept decoded
    metrics = found.metrics
    assert [(each.part, each.resolution, each.images) for each in metrics.measured] == [("val", 32, 20)]
    assert metrics.measured[0].error == found.curve[-1].val_error < 0.75  # chance
    assert metrics.train_images == 180
    assert metrics.params == sum(value.numel() for name, value in load_file(found.folder / "model.safetensors").items()
                                 if "running" not in name and "num_batches" not in name)  # fmt: skip
    assert found.spec.content.digest
    assert found.spec.content.classes == 4
    assert metrics.command == "skexplore fit ..."
    assert fit(asked(tmp_path / "out", arrays)) == found  # nothing is trained again


@pytest.mark.slow
def test_what_is_handed_over_computes_the_same_everywhere(tmp_path, arrays):
    folder = fit(asked(tmp_path / "out", arrays)).folder
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    np.save(tmp_path / "images.npy", images.numpy())
    # without skexplore on the path of imports
    script = """
import sys, numpy as np, torch, onnxruntime, timm
sys.modules["skexplore"] = None
import timm_model
from block import build
from safetensors.torch import load_file
images = torch.from_numpy(np.load(sys.argv[1]))
network = build("trained", num_classes=4)
network.load_state_dict(load_file("model.safetensors"))
network.eval()
with torch.no_grad():
    expected = network(images)
    program = torch.export.load("model.pt2").module()(images)
    model = timm.create_model("local-dir:.", pretrained=True).eval()
    by_timm = model(images)
    other = timm.create_model("local-dir:.", pretrained=True, num_classes=7)
    features = timm.create_model("local-dir:.", pretrained=True, num_classes=0).eval()(images)
assert features.shape == (3, 128)
assert other.classifier.out_features == 7 and torch.equal(other.stem[0].weight, model.stem[0].weight)
config = timm.data.resolve_model_data_config(model)
assert config["input_size"] == (3, 32, 32) and config["crop_pct"] == 1.0, config
(onnx,) = onnxruntime.InferenceSession("model.onnx").run(["logits"], {"images": images.numpy()})
assert expected.shape == (3, 4) and torch.equal(by_timm, expected)
for each in (program, torch.from_numpy(onnx)):
    assert torch.allclose(each, expected, atol=1e-4), (each - expected).abs().max()
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(tmp_path / "images.npy")],
        cwd=folder, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_the_card_has_the_metadata_of_model_hubs(tmp_path, arrays):
    from ruamel.yaml import YAML

    folder = fit(asked(tmp_path / "out", arrays, licence="mit")).folder
    text = (folder / "README.md").read_text()
    head, body = text.removeprefix("---\n").split("\n---\n")
    data = YAML(typ="safe").load(head)
    assert data["license"] == "mit"
    (result,) = data["model-index"][0]["results"]
    error = load_fit(folder).metrics.measured[0].error
    assert result["metrics"] == [{"type": "accuracy", "value": 1 - error}]
    assert "Test images were not read." in body
    assert f"{100 * error:.2f}" in body


def test_test_images_are_read_once_and_on_request(tmp_path, arrays, monkeypatch):
    folder = tmp_path / "out"
    from skexplore.fit import images as module

    read = []
    monkeypatch.setattr(module, "load_test", lambda *given: read.append(1) or load_test(*given))
    from skexplore.training import load_test

    assert fit(asked(folder, arrays)).error("test") is None
    assert not read
    before = (folder / "model.safetensors").read_bytes()
    first = fit(asked(folder, arrays, test=True))
    assert first.error("test") is not None
    assert first.metrics.measured[1].images == 40
    assert (folder / "model.safetensors").read_bytes() == before
    assert "Test images were read once" in (folder / "README.md").read_text()
    assert fit(asked(folder, arrays, test=True)) == first
    assert len(read) == 1


def test_test_images_measured_at_the_end_are_those_measured_later(tmp_path, arrays):
    later = tmp_path / "later"
    fit(asked(later, arrays))
    found = fit(asked(later, arrays, test=True))
    assert found.metrics.measured == fit(asked(tmp_path / "now", arrays, test=True)).metrics.measured


@pytest.mark.slow
def test_photographs_are_streamed_and_measured_at_two_sizes(tmp_path, flowers):
    recipe = replace(FIT_RECIPES["paper"], epochs=3, batch_size=32, drops=(0.9,))
    spec = replace(SPEC, resolution=64, recipe=recipe)
    _, epochs, listener = heard()
    found = fit(asked(tmp_path / "out", flowers, spec), listener)
    assert [(each.part, each.resolution) for each in found.metrics.measured] == [("val", 64), ("val", 96)]
    assert found.metrics.measured[0].error < 0.5  # chance is 2 / 3
    assert 0 < epochs[-1].waiting < 1
    assert epochs[-1].enough >= 1  # none read them beside the training
    config = json.loads((found.folder / "config.json").read_text())
    assert config["label_names"] == ["blue", "green", "red"]
    assert "in this order: blue, green, red." in (found.folder / "README.md").read_text()
    import onnx

    (labels,) = onnx.load(found.folder / "model.onnx").metadata_props
    assert json.loads(labels.value) == ["blue", "green", "red"]
    assert found.spec.content.classes == 3
    assert found.metrics.train_images == 216  # 240, a tenth of them to validate on


@pytest.mark.slow
def test_a_killed_training_ends_with_the_same_weights(tmp_path, arrays):
    words = [
        sys.executable,
        "-m",
        "skexplore.fit",
        "k3+k3d2",
        "--data",
        str(arrays),
        "--backbone",
        "4x4d-111-s2",
    ]
    words += ["--device", "cpu", "--epochs", "30", "--minutes", "0.01", "--out"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}

    log = tmp_path / "log.txt"

    def run(name):
        with log.open("a") as file:
            return subprocess.Popen([*words, str(tmp_path / name)], env=environment, stdout=file, stderr=file)

    assert run("whole").wait(timeout=240) == 0
    chance, ended = random.Random(time.time_ns()), []
    for _ in range(2):
        killed = run("killed")
        checkpoint = tmp_path / "killed" / "checkpoint.pt"
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        deadline = time.monotonic() + 60
        while not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before:
            assert time.monotonic() < deadline
            assert killed.poll() is None, log.read_text()
            time.sleep(0.02)
        time.sleep(chance.uniform(0, 0.5))
        killed.kill()
        ended.append(killed.wait())
    assert ended == [-9, -9]
    assert run("killed").wait(timeout=240) == 0
    assert "going on after epoch" in log.read_text()
    whole, killed = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "killed"))
    assert whole == killed
    curves = [
        [replace(epoch, seconds=0) for epoch in load_fit(tmp_path / name).curve]
        for name in ("whole", "killed")
    ]
    assert curves[0] == curves[1]


def test_weights_to_begin_with(tmp_path, arrays):
    first = fit(asked(tmp_path / "first", arrays)).folder / "model.safetensors"
    low = replace(SPEC, recipe=replace(QUICK, epochs=1, lr=1e-9), seed=5)
    begun = fit(asked(tmp_path / "second", arrays, low, init=first))
    old, new = load_file(first), load_file(begun.folder / "model.safetensors")
    assert all(torch.allclose(old[name], new[name], atol=1e-5) for name in old if name.endswith("weight"))
    assert len(begun.spec.init) == 64
    assert begun.spec.init[:12] in (begun.folder / "README.md").read_text()
    with pytest.raises(UserError, match=r"weights of another network \(\d+ differ"):
        fit(asked(tmp_path / "third", arrays, replace(low, block="k3"), init=first))
    with pytest.raises(UserError, match=r"--init .*none: cannot be read"):
        fit(asked(tmp_path / "fourth", arrays, low, init=tmp_path / "none"))


def test_a_classifier_of_other_classes_is_fresh(tmp_path, arrays, flowers):
    first = fit(asked(tmp_path / "first", arrays)).folder / "model.safetensors"
    notes, _, listener = heard()
    low = replace(SPEC, recipe=replace(QUICK, epochs=1, lr=1e-9, crop="none"))
    begun = fit(asked(tmp_path / "second", flowers, low, init=first), listener)
    assert any("has another classifier" in note for note in notes)
    new = load_file(begun.folder / "model.safetensors")
    assert new["classifier.weight"].shape[0] == 3
    assert torch.allclose(new["stem.0.weight"], load_file(first)["stem.0.weight"], atol=1e-5)


def test_a_folder_with_another_training_is_refused_by_what_differs(tmp_path, arrays):
    fit(asked(tmp_path / "out", arrays))
    other = replace(SPEC, seed=1, recipe=replace(QUICK, lr=0.5))
    with pytest.raises(
        UserError, match=r"holds another training \(seed 1 here, 0 there, recipe lr 0.5 here, 0.05 there\)"
    ):
        fit(asked(tmp_path / "out", arrays, other))


def test_images_that_were_changed_are_refused_by_their_digest(tmp_path, flowers):
    spec = replace(SPEC, recipe=replace(QUICK, epochs=1, crop="none"))
    fit(asked(tmp_path / "out", flowers, spec))
    (flowers / "train" / "red" / "000.jpg").write_bytes((flowers / "train" / "red" / "003.jpg").read_bytes())
    with pytest.raises(UserError, match=r"holds another training \(digest of images \w+ here, \w+ there\)"):
        fit(asked(tmp_path / "out", flowers, spec))


def test_a_folder_in_use_for_something_else_is_left_alone(tmp_path, arrays):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("x")
    with pytest.raises(UserError, match="is not empty and holds no training; choose another --out"):
        fit(asked(tmp_path / "out", arrays))


def test_two_trainings_do_not_share_a_folder(tmp_path, arrays):
    from filelock import FileLock

    (tmp_path / "out").mkdir()
    with (
        FileLock(tmp_path / "out" / "fit.lock"),
        pytest.raises(UserError, match="another process trains there"),
    ):
        fit(asked(tmp_path / "out", arrays))


def test_a_network_of_the_paper_with_attention_modules(tmp_path, arrays):
    spec = replace(
        SPEC,
        block="",
        system="shufflenetv2-0.5x-se",
        backbone="shufflenetv2-0.5x",
        recipe=replace(QUICK, epochs=1),
    )
    notes, _, listener = heard()
    found = fit(asked(tmp_path / "out", arrays, spec), listener)
    assert set(found.metrics.files) == {"model.safetensors", "model.pt2"}
    assert any(
        note.startswith("not written: block.py, timm_model.py, config.json and model.onnx") for note in notes
    )
    assert "from block import build" not in (found.folder / "README.md").read_text()


@pytest.mark.parametrize("fails", ["onnx_bytes", "_program"])
def test_what_fails_after_the_training_costs_neither_it_nor_a_reading_of_the_test_part(
    tmp_path, arrays, monkeypatch, fails
):
    from skexplore.fit import folder as module, images
    from skexplore.training import load_test

    read = []
    monkeypatch.setattr(images, "load_test", lambda *given: read.append(1) or load_test(*given))

    def broken(*_):
        raise (
            StudyError("onnxruntime does not agree")
            if fails == "onnx_bytes"
            else OSError(28, "no space left")
        )

    notes, epochs, listener = heard()
    with monkeypatch.context() as patch:
        patch.setattr(module, fails, broken)
        try:
            fit(asked(tmp_path / "out", arrays, test=True), listener)
        except OSError:
            assert fails == "_program"
    first = load_fit(tmp_path / "out")
    assert first.error("test") is not None
    again = fit(asked(tmp_path / "out", arrays, test=True), listener)
    assert (len(read), len(epochs)) == (1, 2)
    assert again.metrics.measured == first.metrics.measured
    assert (tmp_path / "out" / "README.md").is_file()
    if fails == "onnx_bytes":
        assert "not written: model.onnx (onnxruntime does not agree)" in notes


def test_weights_that_were_changed_are_not_measured(tmp_path, arrays):
    folder = fit(asked(tmp_path / "out", arrays)).folder
    other = fit(asked(tmp_path / "other", arrays, replace(SPEC, seed=3))).folder
    (folder / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes())
    with pytest.raises(UserError, match="not the weights that the training left"):
        fit(asked(folder, arrays, test=True))


def test_the_licence_can_be_given_later_and_stays(tmp_path, arrays):
    folder = fit(asked(tmp_path / "out", arrays)).folder
    assert 'license: "other"' in (folder / "README.md").read_text()
    fit(asked(folder, arrays, licence="mit"))
    assert 'license: "mit"' in (folder / "README.md").read_text()
    fit(asked(folder, arrays, test=True))
    assert 'license: "mit"' in (folder / "README.md").read_text()


@pytest.mark.parametrize(
    ("accumulate", "batch", "ok"), [(20, 40, True), (21, 40, False), (3, 8, True), (3, 7, False)]
)
def test_parts_of_less_than_two_images_are_refused(tmp_path, arrays, accumulate, batch, ok):
    spec = replace(SPEC, accumulate=accumulate, recipe=replace(QUICK, epochs=1, batch_size=batch))
    if ok:
        assert fit(asked(tmp_path / "out", arrays, spec)).spec.accumulate == accumulate
        return
    with pytest.raises(
        UserError, match=rf"--accumulate {accumulate}: batches of {batch} images .* less than two"
    ):
        fit(asked(tmp_path / "out", arrays, spec))
    assert not (tmp_path / "out").exists()  # no empty folder is left


def test_streamed_parts_are_those_of_the_arrays(tmp_path, flowers):
    """Broken files left out, test held out, the same images to validate on."""
    from skexplore.data import describe_own, items_of, load_part, split_indices
    from skexplore.fit.run import _split

    shutil.rmtree(flowers / "test")
    (flowers / "train" / "red" / "003.jpg").write_bytes(b"broken")
    own = describe_own(str(flowers), skip_broken=True)
    parts = _split(dict(items_of(own)), own.content)
    labels = {part: load_part(own.folder, part)[1].tolist() for part in ("train", "test")}
    assert [item.label for item in parts["test"]] == labels["test"]
    train, val = split_indices(
        np.array(labels["train"]),
        train_images=own.content.most_train,
        val_images=own.content.most_val(own.content.most_train),
    )
    assert [item.label for item in parts["train"]] == [labels["train"][i] for i in train]
    images = load_part(own.folder, "train")[0]
    for item, number in zip(parts["val"], val, strict=True):
        pixels = np.asarray(item.read()[1].convert("RGB").resize((41, 32)))  # about as it was decoded
        assert abs(pixels.mean() - images[number].mean()) < 6
    assert not {item.name for item in parts["val"]} & {item.name for item in parts["train"]}


@pytest.mark.slow
def test_a_broken_image_met_by_a_worker_is_named_without_a_traceback(tmp_path, flowers):
    spec = replace(SPEC, resolution=48, recipe=replace(FIT_RECIPES["paper"], epochs=1, batch_size=32))
    from skexplore.data import describe_own

    describe_own(str(flowers))
    name = flowers / "train" / "red" / "000.jpg"
    stamp = name.stat()
    name.write_bytes(name.read_bytes()[: stamp.st_size // 2] + b"\0" * (stamp.st_size - stamp.st_size // 2))
    os.utime(name, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))  # unseen until it is read
    name.write_bytes(b"x" * stamp.st_size)
    os.utime(name, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    with pytest.raises(UserError) as ended:
        fit(replace(asked(tmp_path / "out", flowers, spec), workers=1))
    assert str(ended.value).startswith(f"{name}: cannot be read")
    assert "Traceback" not in str(ended.value)


def test_sums_of_what_is_handed_over_are_on_record(tmp_path, arrays):
    from hashlib import sha256

    found = fit(asked(tmp_path / "out", arrays))
    files = json.loads((found.folder / "metrics.json").read_text())["files"]
    assert {
        "model.safetensors",
        "block.py",
        "model.onnx",
        "model.pt2",
        "config.json",
        "timm_model.py",
    } == set(files)
    assert all(
        sha256((Path(found.folder) / name).read_bytes()).hexdigest() == each for name, each in files.items()
    )


def test_what_is_lost_or_damaged_of_a_finished_training_is_written_again(tmp_path, arrays):
    folder = fit(asked(tmp_path / "out", arrays)).folder
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    (folder / "model.onnx").unlink()
    (folder / "block.py").write_text("junk")
    notes, _, listener = heard()
    fit(asked(folder, arrays), listener)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert "this training was finished before; nothing is trained again" in notes
    (folder / "model.safetensors").write_text("junk")
    with pytest.raises(UserError, match="not the weights that the training left"):
        fit(asked(folder, arrays))


def test_a_block_for_each_stage_of_a_network_with_other_stages_than_the_reference(tmp_path, arrays):
    spec = replace(SPEC, block="k3;k3;k5", backbone="4x4d-111-s2", recipe=replace(QUICK, epochs=1))
    folder = fit(asked(tmp_path / "out", arrays, spec)).folder
    done = subprocess.run(
        [sys.executable, "block.py"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "trained: " in done.stdout


def test_small_sets_are_noted(tmp_path, arrays):
    notes, _, listener = heard()
    fit(
        asked(tmp_path / "out", arrays, replace(SPEC, recipe=replace(QUICK, epochs=1, batch_size=256))),
        listener,
    )
    assert any(
        note.startswith("180 images to train on: batches of 180, an epoch has 1 update;") for note in notes
    )
