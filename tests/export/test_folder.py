"""Exported folders: standalone code, equal networks and honest cards."""

import ast
import importlib.util
import random
import re
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from jinja2 import UndefinedError
from safetensors.torch import load_file, save_file
from support.exported import PER_STAGE, PROXY, a_record, a_study, exported, keep_weights
from support.studies import know_noise, synthetic

from skexplore.arch.backbones import get_backbone
from skexplore.arch.costs import cost
from skexplore.arch.notation import parse_blocks
from skexplore.errors import UserError
from skexplore.export.block_json import SCHEMA, load_block, read_block_file
from skexplore.export.card import _dims, _parts, card
from skexplore.export.code import code
from skexplore.export.folder import chosen, export_block
from skexplore.nn.network import build, seeded_build
from skexplore.templates import render
from skexplore.training.messages import weights_file
from skexplore.training.weights import save_weights

BLOCKS = ("k3", "k3+k3d2", "k3+k5g64+k3d3/r8/L16", "k3+k3d2/sum", PER_STAGE)
HOSTILE = '<script>alert(1)</script> `x` | """ \'\nimport os #'


def imported(out):
    """Import a block.py that this very test has just exported."""
    spec = importlib.util.spec_from_file_location("exported_block", out / "block.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# the code


@pytest.mark.parametrize("block", BLOCKS)
def test_code_is_the_same_network(tmp_path, block):
    out = exported(tmp_path, block)
    block = read_block_file(out).block  # canonical: that is what was trained
    ours = seeded_build(block, PROXY, seed=0)
    ours.load_state_dict(load_file(out / "weights.safetensors"))
    module = imported(out)
    theirs = module.build("proxy")
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(3, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    for train in (False, True):  # in training BatchNorm of z and of the maps also sees the batch
        with torch.no_grad():
            difference = ours.double().train(train)(images.double()) - theirs.double().train(train)(
                images.double()
            )
        assert difference.abs().max() < 1e-9
    reference = module.build()
    assert sum(p.numel() for p in reference.parameters()) == cost(block).params
    with torch.device("meta"):
        expected = build(block)
    assert {k: v.shape for k, v in reference.state_dict().items()} == {
        k: v.shape for k, v in expected.state_dict().items()
    }
    assert module.build("proxy", num_classes=7)(images).shape == (3, 7)


def test_same_seed_gives_the_same_fresh_weights(tmp_path):
    out = exported(tmp_path, "k3+k3d2", weights=False)
    ours = seeded_build("k3+k3d2", PROXY, seed=5).state_dict()
    torch.manual_seed(5)
    theirs = imported(out).build("proxy").state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_unknown_scale_is_refused(tmp_path):
    with pytest.raises(ValueError, match="reference, proxy"):
        imported(exported(tmp_path, "k3", weights=False)).build("huge")


OTHER_UNITS = {
    "8x4d-212-s2-basic": "k3+k3d2/r8/L=16",
    "8x4d-212-basic-second": "k3+k3d2",
    "24x1d-221-separable": "k3+k5/sum",
    "24x1d-221-shuffle": "k3relu+k3d2/r4/L1",
    "48x1d-2211-inverted": "k3;k3+k5;k3+k5/sum;k3d2",
    "2x8d-121-s2-split": "k3+k3d2",
    "skresnet50d": "k3+k3d2/L=8",
    "mobilenetv2": "k3+k5",
}


def test_code_joins_timms_models(tmp_path, monkeypatch):
    timm = pytest.importorskip("timm")
    module = imported(exported(tmp_path, "k3+k3d2", scale="proxy", weights=False))
    monkeypatch.setitem(sys.modules, "exported_block", module)
    timm.models.register_model(module.sk_block)
    network = timm.create_model("sk_block", num_classes=7, in_chans=1).eval()
    assert network(torch.zeros(2, 1, 32, 32)).shape == (2, 7)
    with pytest.raises(ValueError, match=r"load weights\.safetensors"):
        module.sk_block(pretrained=True)


@pytest.mark.parametrize("backbone", OTHER_UNITS)
def test_code_of_other_units_computes_what_ours_does(tmp_path, backbone):
    blocks, body = parse_blocks(OTHER_UNITS[backbone]), get_backbone(backbone)
    (tmp_path / "block.py").write_text(code(blocks, body, "proxy", schema=SCHEMA))
    clean(tmp_path / "block.py")
    module = imported(tmp_path)
    theirs, ours = module.build().double(), build(blocks, body).double()
    assert list(theirs.state_dict()) == list(ours.state_dict())
    theirs.load_state_dict(ours.state_dict())
    images = torch.randn(3, 3, 41, 36, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for training in (True, False):
        torch.testing.assert_close(
            theirs.train(training)(images), ours.train(training)(images), rtol=1e-7, atol=1e-7
        )
    gray = module.build("proxy", num_classes=7, in_channels=1).eval()
    assert gray(torch.zeros(1, 1, 33, 40)).shape == (1, 7)
    with torch.device("meta"):
        assert sum(p.numel() for p in module.build("reference").parameters()) == cost(blocks).params


@pytest.mark.parametrize(
    "block", [*BLOCKS, "k3+k3d2;k3+k3d2;k3+k3d2/r8;k3", "k1+k3+k3d2+k3d3+k5+k5d2+k7+k9g128"]
)
def test_code_is_formatted_and_clean(tmp_path, block):
    clean(exported(tmp_path, block, weights=False) / "block.py")


def clean(code: Path) -> None:
    """Check that the file is as ruff would format it, without what it finds wrong."""
    ruff = importlib.util.find_spec("ruff")
    if ruff is None:
        pytest.skip("ruff is not installed")
    for command in (
        ["format", "--check", "--diff"],
        ["check", "--select", "E,F,W,I,B,SIM", "--ignore", "E501"],
    ):
        isolated = [sys.executable, "-m", "ruff", *command, "--isolated", "--line-length", "110", str(code)]
        done = subprocess.run(isolated, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert max(map(len, code.read_text().splitlines())) <= 110
    ast.parse(code.read_text(), feature_version=(3, 9))


def test_main_prints_parameters_without_skexplore(tmp_path):
    out = exported(tmp_path, "k3+k3d2", weights=False)
    driver = (
        "import runpy, sys; sys.modules['skexplore'] = None; runpy.run_path(sys.argv[1], run_name='__main__')"
    )
    command = [sys.executable, "-I", "-c", driver, str(out / "block.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert (
        first == "reference: 27,479,784 parameters (224 x 224 pixels, 1000 classes)"
    )  # SKNet-50 of the paper
    assert second.startswith(f"proxy: {cost('k3+k3d2', PROXY).params:,} parameters")


# the folder


def test_files_and_content(tmp_path):
    record = a_record("k3+k3d2", number=4, seed=3)
    keep_weights(tmp_path / "study", record)
    paths = export_block(a_study(record), record, tmp_path / "study", tmp_path / "a" / "b")
    assert {path.name for path in paths} == {
        "block.json", "block.py", "weights.safetensors", "README.md", "timm.json", "block.svg", "place.svg",
    }  # fmt: skip
    assert {path.name for path in (tmp_path / "a" / "b").iterdir()} == {path.name for path in paths}
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b"]
    block = read_block_file(tmp_path / "a" / "b")
    assert block.reference.cost == cost("k3+k3d2")
    assert block.proxy.cost == cost("k3+k3d2", get_backbone(PROXY))
    assert (block.val_error, block.seed, block.provenance.trial) == (0.3124, 3, 4)
    assert load_block(tmp_path / "a" / "b") == parse_blocks("k3+k3d2")
    assert weights_file(tmp_path / "study", record.key).read_bytes() == paths[1].read_bytes()


def test_same_bytes_twice_and_over_an_earlier_export(tmp_path):
    record = a_record("k3+k5g64")
    keep_weights(tmp_path / "study", record)
    study = a_study(record)
    first = export_block(study, record, tmp_path / "study", tmp_path / "one")
    second = export_block(study, record, tmp_path / "study", tmp_path / "two")
    again = export_block(study, record, tmp_path / "study", tmp_path / "one")
    assert (
        [p.read_bytes() for p in first] == [p.read_bytes() for p in second] == [p.read_bytes() for p in again]
    )


def test_exported_weights_are_the_bytes_that_were_checked(tmp_path, monkeypatch):
    record = a_record("k3")
    keep_weights(tmp_path / "study", record)
    kept = weights_file(tmp_path / "study", record.key)
    whole = kept.read_bytes()
    record, read = replace(record, weights_sha256=sha256(whole).hexdigest()), Path.read_bytes

    def read_and_replace(path):
        content = read(path)
        if path == kept:
            kept.write_bytes(b"another file")
        return content

    monkeypatch.setattr(Path, "read_bytes", read_and_replace)
    out = tmp_path / "out"
    export_block(a_study(record), record, tmp_path / "study", out, scale="proxy", onnx=True)
    assert (out / "weights.safetensors").read_bytes() == whole
    assert read_block_file(out).onnx.weights == "trained"


def test_earlier_weights_do_not_survive_another_block(tmp_path):
    out = exported(tmp_path, "k3+k3d2")
    other = a_record("k3")
    export_block(a_study(other), other, tmp_path / "nothing", out)
    assert not (out / "weights.safetensors").exists()
    assert read_block_file(out).weights is None


def test_earlier_onnx_does_not_survive(tmp_path):
    out = exported(tmp_path, "k3", scale="proxy", onnx=True)
    assert (out / "block.onnx").exists()
    other = a_record("k3+k3d2")
    export_block(a_study(other), other, tmp_path / "nothing", out)
    assert not (out / "block.onnx").exists()
    assert read_block_file(out).onnx is None


@pytest.mark.parametrize(("scale", "side"), [("reference", 224), ("proxy", 32)])
def test_scale_is_what_build_builds(tmp_path, scale, side):
    out = exported(tmp_path, "k3+k3d2", weights=False, scale=scale)
    body = get_backbone(PROXY) if scale == "proxy" else get_backbone("sknet50")
    assert read_block_file(out).scale == scale
    module = imported(out)
    assert sum(p.numel() for p in module.build().parameters()) == cost("k3+k3d2", body).params
    assert f"(batch, 3, {side}, {side})" in module.__doc__


def test_unknown_scale_is_the_users_mistake(tmp_path):
    record = a_record("k3")
    with pytest.raises(UserError, match="--scale huge: must be one of reference, proxy"):
        export_block(a_study(record), record, tmp_path, tmp_path / "out", scale="huge")
    assert not (tmp_path / "out").exists()


def test_empty_folder_is_taken_and_a_foreign_one_refused(tmp_path):
    record = a_record("k3")
    (tmp_path / "empty").mkdir()
    export_block(a_study(record), record, tmp_path, tmp_path / "empty")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        export_block(a_study(record), record, tmp_path, tmp_path / "full")
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["thesis.tex"]
    with pytest.raises(UserError, match="is a file"):
        export_block(a_study(record), record, tmp_path, tmp_path / "full" / "thesis.tex")


def test_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("skexplore.export.folder.write_atomic", full)
    record = a_record("k3")
    with pytest.raises(UserError, match="No space left"):
        export_block(a_study(record), record, tmp_path, tmp_path / "here" / "out")
    assert list((tmp_path / "here").iterdir()) == []


def test_weights_of_another_network_are_refused(tmp_path):
    record = a_record("k3+k3d2")
    path = weights_file(tmp_path, record.key)
    save_weights(path, seeded_build("k3", PROXY, seed=0).state_dict())
    with pytest.raises(UserError, match="do not fit"):
        export_block(a_study(record), record, tmp_path, tmp_path / "out")
    path.write_bytes(b"rubbish")
    with pytest.raises(UserError, match="damaged"):
        export_block(a_study(record), record, tmp_path, tmp_path / "out")
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(UserError, match="do not fit"):
        export_block(a_study(record), record, tmp_path, tmp_path / "out")


@pytest.mark.parametrize("status", ["over_budget", "replay", "failed", "diverged", "running"])
def test_untrained_record_is_refused(tmp_path, status):
    record = a_record("k3", status=status, val_error=None)
    with pytest.raises(UserError, match=status):
        export_block(a_study(record), record, tmp_path, tmp_path / "out")


@pytest.mark.parametrize("seed", range(4))
def test_weights_with_one_altered_byte_are_refused(tmp_path, seed):
    record = a_record("k3+k3d2")
    keep_weights(tmp_path, record)
    file = weights_file(tmp_path, record.key)
    whole = file.read_bytes()
    record = replace(record, weights_sha256=sha256(whole).hexdigest())
    generator = random.Random(seed)
    for place in generator.sample(range(len(whole)), 25):
        data = bytearray(whole)
        data[place] ^= 1 << generator.randrange(8)
        file.write_bytes(data)
        with pytest.raises(UserError, match="not the weights that the training left"):
            export_block(a_study(record), record, tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    file.write_bytes(whole)
    export_block(a_study(record), record, tmp_path, tmp_path / "out")
    assert read_block_file(tmp_path / "out").weights.sha256 == record.weights_sha256


@pytest.mark.parametrize("block", ["k3+k3d2", PER_STAGE])
def test_one_image_in_training_is_explained(tmp_path, block):
    proxy = imported(exported(tmp_path, block, weights=False)).build("proxy")
    image = torch.randn(1, 3, 32, 32)
    for network in (proxy, build(block, PROXY)):
        with pytest.raises(
            ValueError, match=r"one image in training: the BatchNorm of the fuse step.*eval\(\)"
        ):
            network.train()(image)
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                module.eval()  # frozen statistics, as in fine-tuning: one image will do
        assert network(image).shape == (1, 10)


# the card


def test_card_says_what_it_may(tmp_path):
    record = a_record("k3+k3d2", number=9)
    anchors = [a_record("k3+k3d2", origin="anchor", seed=s, val_error=e) for s, e in ((0, 0.31), (1, 0.33))]
    anchors += [
        a_record("k3+k3d2", origin="anchor", seed=2, status="stopped", val_error=0.9),  # no whole training
        a_record("k1+k3", origin="anchor", sampler="user", val_error=0.2),  # not published
    ]
    export_block(a_study(*anchors, record), record, tmp_path, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "`k1+k3`" not in card
    assert "**31.24 % of the CIFAR-10 validation images**" in card
    assert "n = 1 training" in card
    assert "GFLOPs = 10^9 multiply-adds of convolutions and linear layers" in card
    assert "| `k3+k3d2` | 2 | 31.00 to 33.00 |" in card
    assert "| 3 | SKNet-50 | +0.00 % | +0.00 % | yes | this block equals it | 20.79 |" in card
    assert "(ImageNet, other protocol)" in card
    assert "none are kept in the study's folder" in card
    assert "27,479,784" in card
    assert "4.4627" in card  # 4.47 GFLOPs printed in Table 3


def test_stopped_trial_is_called_so(tmp_path):
    record = a_record("k3", status="stopped", epochs=2)
    export_block(a_study(record), record, tmp_path, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "2 of 6 epochs" in card
    assert "stopped this training early" in card
    assert "No published block was trained" in card


def test_nothing_of_a_hostile_study_is_markup_in_the_card(tmp_path):
    record, bad = a_record("k3"), '<img src=x onerror="alert(1)">\x1b[2J\u202e `|*_'
    study = a_study(record, name=bad)
    spec = replace(study.spec, split=replace(study.spec.split, dataset=bad))
    study = replace(study, spec=spec, command=bad, environment={bad: bad})
    export_block(study, record, tmp_path, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.count("alert(1)") == 7
    outside = re.sub(
        r"`[^`\n]*`", "", card.replace("```", "")
    )  # without code spans, in which nothing is markup
    assert "<" not in outside
    assert "&lt;img" in outside  # the data set's name
    assert card.replace("\n", "").isprintable()


def test_steps_are_not_called_one_cycle(tmp_path):
    record, study = a_record("k3"), a_study(a_record("k3"))
    recipe = replace(study.spec.recipe, schedule="steps", nesterov=False)
    export_block(replace(study, spec=replace(study.spec, recipe=recipe)), record, tmp_path, tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "SGD with momentum 0.9, learning rate 0.1, divided by 10 at 50 % and at 75 % over 6 epochs" in card
    assert "one cycle" not in card


def test_hostile_names_stay_text(tmp_path):
    record = a_record("k3")
    export_block(a_study(record, name=HOSTILE), record, tmp_path, tmp_path / "out")
    line = next(
        x for x in (tmp_path / "out" / "README.md").read_text().splitlines() if x.startswith("| study")
    )
    assert line == "| study | `<script>alert(1)</script> 'x' \\| \"\"\" ' import os #` |"
    assert "script" not in (tmp_path / "out" / "block.py").read_text()
    assert read_block_file(tmp_path / "out").provenance.study == HOSTILE


# which trials


def a_search():
    return a_study(
        a_record("k3+k3d2", number=0, origin="anchor", val_error=0.10),
        a_record("k3+k3d2", number=0, val_error=0.30),
        a_record("k3", number=1, val_error=0.35),
        a_record("k3+k3d3", number=2, val_error=0.40),
        a_record("k3+k5g64", number=3, status="stopped", val_error=0.50),
        a_record("k3+k3d2+k3d3", number=4, status="over_budget", val_error=None),
        a_record("k3", number=5, status="replay", val_error=0.35, replay_of=a_record("k3").key),
    )


def test_chosen():
    study = a_search()
    assert [r.number for r in chosen(study, "best")] == [0]
    assert chosen(study, "best")[0].origin == "search"
    assert [r.number for r in chosen(study, "front")] == [1, 0]
    assert [r.number for r in chosen(study, "3")] == [3]


@pytest.mark.parametrize(
    ("which", "message"),
    [
        ("4", "trial 4 is over_budget; complete or stopped trials: 0, 1, 2, 3"),
        ("5", "trial 5 is a replay of trial 1"),
        ("17", "no trial 17"),
        ("-1", "best, front or a number"),
        ("", "best, front or a number"),
        ("²", "best, front or a number"),
        ("Best", "best, front or a number"),
    ],
)
def test_wrong_choice_says_what_is_allowed(which, message):
    with pytest.raises(UserError, match=message) as error:
        chosen(a_search(), which)
    assert "0, 1, 2, 3" in str(error.value)


@pytest.mark.parametrize("which", ["best", "front", "0"])
def test_nothing_to_choose(which):
    with pytest.raises(UserError, match="no complete or stopped trial yet"):
        chosen(a_study(), which)


def test_template_without_its_values_is_an_error():
    with pytest.raises(UndefinedError):
        render("block.py.j2")


def test_the_card_says_what_is_believed_and_how_surely(tmp_path, monkeypatch):
    plain = (exported(tmp_path / "plain", "k3+k3d2", weights=False) / "README.md").read_text()
    assert "optimistic" in plain
    know_noise(monkeypatch)
    study, out = synthetic(), tmp_path / "sure"
    export_block(study, study.best, tmp_path, out)
    believed, text = read_block_file(out).believed, (out / "README.md").read_text()
    assert believed.low < believed.estimate < believed.high
    low, mean, high = (f"{100 * each:.2f}" for each in (believed.low, believed.estimate, believed.high))
    assert f"**{mean} % (90 % interval {low} to {high})** is what the search believes" in text
    assert "plain K3 with a chance " in text
    among = "`, `".join(study.answer.may_be_best)
    assert len(study.answer.may_be_best) > 1
    assert f"With a chance of 95 % the best of the search is one of `{among}`." in text
    assert "the best of the search is" not in plain
    assert "optimistic" not in text


def test_card_says_what_is_built_in_a_depthwise_proxy(tmp_path):
    blocks, body = parse_blocks("k3+k3d2"), get_backbone("16x4d-1111-separable")
    assert _dims(blocks, body, 0) == "32, 32, 32, 32"  # a floor of 32 stays as it is written
    assert _dims(parse_blocks("k3+k3d2/L1"), get_backbone("mobilenetv2"), 0).startswith("2, 6/9, 9/12, ")
    (part,) = _parts(parse_blocks("k3g64+k3d2/r2/L1"), body)
    assert [row[-1] for row in part["branches"]] == ["as channels", "as channels"]
    assert part["fuse"].endswith(
        "64, 128, 256, 512 channels at the reference and 16, 32, 64, 128 in the proxy."
    )


def test_card_of_an_earlier_onnx_file_says_its_size(tmp_path):
    block = read_block_file(exported(tmp_path, "k3+k3d2", scale="proxy", onnx=True))
    assert "float32 (batch, 3, 32, 32) or of any other height and width, and gives" in card(block)
    assert "float32 (batch, 3, 32, 32), and gives" in card(replace(block, schema=4))
