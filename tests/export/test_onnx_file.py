"""ONNX files against onnxruntime and the onnx checker: any block, any batch, the weights that were promised."""

import sys

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from support.exported import PER_STAGE, PROXY, a_record, a_study, exported, keep_weights
from support.strategies import any_blocks
from torch import nn

from skexplore.arch.architecture import Architecture
from skexplore.errors import StudyError, UserError
from skexplore.export.block_json import read_block_file
from skexplore.export.folder import export_block
from skexplore.export.onnx_file import Agreement, NoRuntimeError, compare, onnx_bytes
from skexplore.nn.network import build, seeded_build

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


def outputs(content, images):
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["logits"], {"images": images.numpy()})[0])


@pytest.mark.parametrize("block", ["k3", "k3+k3d2", "k3+k3d2/sum", "k1+k3+k5g64+k3d3/r8/L16", PER_STAGE])
def test_proxy_with_trained_weights(tmp_path, block):
    out = exported(tmp_path, block, scale="proxy", onnx=True)
    said = read_block_file(out).onnx
    assert (said.scale, said.weights) == ("proxy", "trained")
    assert said.largest_difference < 1e-5 * said.largest_output
    content = (out / "block.onnx").read_bytes()
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    ours = keep_weights(tmp_path / "again", a_record(block))
    for batch in (1, 5):
        images = torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(batch))
        with torch.no_grad():
            expected = ours(images)
        assert (outputs(content, images) - expected).abs().max() < 1e-5 * expected.abs().max()


def test_tensors_are_the_state_dict_by_name(tmp_path):
    network = seeded_build(PER_STAGE, PROXY, seed=3)
    content, _ = onnx_bytes(network, 32)
    tensors = {t.name: t for t in onnx.load_from_string(content).graph.initializer}
    for name, tensor in network.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            found = torch.from_numpy(onnx.numpy_helper.to_array(tensors[name]).copy())
            assert torch.equal(found, tensor), name


def test_reference_has_fresh_weights_and_says_so(tmp_path):
    record = a_record("k3", seed=11)
    keep_weights(tmp_path / "study", record)  # of the proxy: they do not fit the reference
    export_block(a_study(record), record, tmp_path / "study", tmp_path / "out", onnx=True)
    said = read_block_file(tmp_path / "out").onnx
    assert (said.scale, said.weights, said.seed) == ("reference", "fresh", 11)
    card = (tmp_path / "out" / "README.md").read_text()
    assert 'fresh weights, those of `torch.manual_seed(11); build("reference")`, not trained ones' in card
    tensors = onnx.load(str(tmp_path / "out" / "block.onnx")).graph.initializer
    (bias,) = [t for t in tensors if t.name == "classifier.bias"]
    expected = seeded_build("k3", "sknet50", seed=11).classifier.bias
    assert torch.equal(torch.from_numpy(onnx.numpy_helper.to_array(bias).copy()), expected)


def test_proxy_without_kept_weights_is_fresh(tmp_path):
    out = exported(tmp_path, "k3", scale="proxy", onnx=True, weights=False)
    assert read_block_file(out).onnx.weights == "fresh"
    assert 'build("proxy")`, not trained ones' in (out / "README.md").read_text()


def test_same_bytes_twice_and_nothing_of_this_machine():
    first, second = (onnx_bytes(seeded_build("k3+k3d2", PROXY, seed=0), 32)[0] for _ in range(2))
    assert first == second
    for word in (b"/work", b"site-packages", b".py"):
        assert word not in first


@settings(max_examples=12, suppress_health_check=[HealthCheck.too_slow])
@given(any_blocks)
def test_random_blocks_agree(blocks):
    _, agreement = onnx_bytes(seeded_build(blocks, PROXY, seed=0), 32)
    assert agreement.largest_difference < 1e-5 * agreement.largest_output


def test_file_that_does_not_agree_is_not_left(tmp_path, monkeypatch):
    wrong = Agreement(largest_difference=0.1, largest_output=1.0)
    monkeypatch.setattr("skexplore.export.onnx_file.compare", lambda *_: wrong)
    record = a_record("k3")
    with pytest.raises(StudyError, match="does not compute what torch does"):
        export_block(a_study(record), record, tmp_path, tmp_path / "out", scale="proxy", onnx=True)
    assert not (tmp_path / "out").exists()


def test_wrong_layer_is_noticed(monkeypatch):
    network = seeded_build("k3+k3d2", PROXY, seed=0)
    content, _ = onnx_bytes(network, 32)
    network.stages[1][0].sk.attend = nn.Linear(
        *reversed(network.stages[1][0].sk.attend.weight.shape), bias=False
    )
    assert not compare(content, network, 32).ok


@pytest.mark.parametrize("difference", [float("nan"), float("inf"), 1e-3])
def test_only_rounding_is_agreement(difference):
    assert not Agreement(largest_difference=difference, largest_output=1.0).ok
    assert Agreement(largest_difference=1e-7, largest_output=1.0).ok


@pytest.mark.parametrize("content", [b"", b"rubbish"])
def test_what_is_no_onnx_file(content):
    with pytest.raises(UserError):
        compare(content, seeded_build("k3", PROXY, seed=0).eval(), 32)


def test_network_too_large_for_one_file(monkeypatch):
    monkeypatch.setattr("skexplore.export.onnx_file.LARGEST", 1000)
    with pytest.raises(UserError, match="--scale proxy"):
        onnx_bytes(seeded_build("k3", PROXY, seed=0), 32)


def test_missing_runtime(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(NoRuntimeError, match="is not installed"):
        compare(b"", seeded_build("k3", PROXY, seed=0), 32)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("block", "backbone"),
    [
        ("k3+k3d2/r8/L=16", "8x4d-212-s2-basic"),
        ("k3+k3d2", "8x4d-212-basic-second"),
        ("k3+k3d2+k5/sum", "24x1d-221-separable"),
        ("k3relu+k3d2", "24x1d-221-shuffle"),
        ("k3", "24x1d-221-shuffle"),
        ("k3+k5", "48x1d-221-inverted"),
        ("k3+k3d2", "2x8d-121-s2-split"),
        ("k3+k3d2", "mobilenetv2"),
        ("k3+k3d2/L=8", "skresnet50d"),
    ],
)
def test_units_of_every_kind_at_any_size(block, backbone):
    network = seeded_build(block, backbone, seed=0)
    content, said = onnx_bytes(network, 32)
    assert said.ok
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    images = torch.randn(3, 3, 41, 56, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = network(images)
    assert (outputs(content, images) - expected).abs().max() < 1e-4 * expected.abs().max()


def test_images_of_one_channel():
    network = build(Architecture.of("k3+k5", "8x4d-1111", in_channels=1)).eval()
    content, _ = onnx_bytes(network, 32)
    assert outputs(content, torch.zeros(1, 1, 20, 40)).shape == (1, 10)
