"""How to get weights that a study did not keep, and ``skexplore export`` as it is typed."""

import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from support.exported import PROXY, a_record, a_study, keep_weights
from support.instant import InstantPool

from skexplore.arch.notation import parse_blocks
from skexplore.engine import coordinator
from skexplore.engine.options import Run
from skexplore.engine.run import train
from skexplore.export.block_json import read_block_file
from skexplore.export.folder import export_block
from skexplore.plan.search import TrainRequest, plan_training
from skexplore.study.recipe import PROFILES, TrainSpec
from skexplore.study.store import load_study

# weights that were not kept


def quick_study(record):
    study = a_study(record)
    profile = PROFILES["quick"]
    spec = replace(study.spec, backbone=profile.backbone, recipe=profile.recipe, split=profile.split)
    return replace(study, spec=spec)


def test_command_for_weights_repeats_the_training(tmp_path):
    record = a_record("k3+k3d2;k3;k3;k3", seed=5)
    study = quick_study(record)
    train = TrainSpec(
        block=record.block,
        net_id=record.net_id,
        backbone=PROXY,
        recipe=study.spec.recipe,
        split=study.spec.split,
        seed=5,
    )
    record = replace(record, key=train.key)
    export_block(study, record, tmp_path, tmp_path / "out")
    note = read_block_file(tmp_path / "out").weights_note
    command = shlex.split(note.split("`")[1])
    assert command == [
        "skexplore", "train", "k3+k3d2;k3;k3;k3", "--profile", "quick", "--dataset", "cifar10", "--seed", "5",
    ]  # fmt: skip
    plan = plan_training(
        TrainRequest(blocks=parse_blocks(command[2]), profile="quick", dataset="cifar10", seed=5)
    )
    assert plan.spec.keep_weights == "all"
    assert f"studies/{plan.spec.name}/weights/{record.key}.safetensors" in note
    assert note in (tmp_path / "out" / "README.md").read_text()


def test_command_for_weights_names_another_backbone(tmp_path):
    record = a_record("k3")
    study = quick_study(record)
    study = replace(study, spec=replace(study.spec, backbone="16x4d-1111-s2"))
    export_block(study, record, tmp_path, tmp_path / "out")
    assert "--backbone 16x4d-1111-s2 --seed 0" in read_block_file(tmp_path / "out").weights_note


def test_where_no_profile_trains_like_that_the_search_is_to_be_repeated(tmp_path):
    record = a_record("k3")
    export_block(a_study(record), record, tmp_path, tmp_path / "out")
    assert "--keep-weights all" in read_block_file(tmp_path / "out").weights_note


def test_training_on_a_gpu_is_not_said_to_give_its_weights_again(tmp_path):
    record = a_record("k3")
    study = replace(quick_study(record), environment={"workers": "1 x cuda:0"})
    export_block(study, record, tmp_path, tmp_path / "out")
    note = read_block_file(tmp_path / "out").weights_note
    assert "skexplore train" not in note
    assert "on a GPU the same training again gives other weights" in note
    assert "--keep-weights all" in note


def test_stopped_training_does_not_take_the_weights_of_a_whole_one(tmp_path):
    record = a_record("k3", status="stopped", epochs=2)
    keep_weights(tmp_path / "study", record)  # an anchor of the same network, trained to the end
    export_block(quick_study(record), record, tmp_path / "study", tmp_path / "out")
    file = read_block_file(tmp_path / "out")
    assert file.weights is None
    assert "another measurement" in file.weights_note


def test_own_trainings_keep_their_weights(tiny, synthetic_data, monkeypatch):
    monkeypatch.setattr(coordinator, "Pool", lambda devices, log: InstantPool(devices, log, None))
    run = Run(workers=1, data_folder=synthetic_data)
    study = train(parse_blocks("k3"), profile="tiny", run=run)
    kept = Path("studies") / study.spec.name / "weights" / "kept.safetensors"
    kept.parent.mkdir(exist_ok=True)
    kept.write_bytes(b"as a worker leaves them")
    train(parse_blocks("k3+k3d2"), profile="tiny", run=run)
    assert kept.exists()


# the command


ARCHIVE = str(Path(__file__).parents[2] / "studies" / "first-search")


def test_command_writes_onnx_and_says_how_it_agrees(command, tmp_path):
    out, block = tmp_path / "out", load_study(ARCHIVE).best.block
    code, stdout, err = command(
        "export", ARCHIVE, "--trial", "best", "--scale", "proxy", "--onnx", "--out", str(out)
    )
    assert code == 0
    assert str(out / "block.onnx") in stdout.splitlines()
    assert "onnxruntime differs from torch by at most" in err
    assert "skexplore train" in err  # the archive has no weights: how to train the block again
    code, stdout, _ = command("cost", str(out), "--json")  # a BLOCK everywhere
    assert code == 0
    assert f'"{block}"' in stdout


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_missing_extra_is_named_and_nothing_written(command, tmp_path, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    code, stdout, err = command("export", ARCHIVE, "--onnx", "--out", str(tmp_path / "out"))
    assert code == 2
    assert 'pip install "skexplore[onnx]"' in err
    assert stdout == ""
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("--scale", "tiny"), "one of reference, proxy"), (("--trial", "-3"), "best, front or a number")],
)
def test_wrong_arguments_write_nothing(command, tmp_path, arguments, message):
    code, _, err = command("export", ARCHIVE, *arguments, "--out", str(tmp_path / "out"))
    assert code == 2
    assert message in err
    assert not (tmp_path / "out").exists()
