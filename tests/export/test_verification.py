"""What `verify` checks of an exported folder, and what tampering does to it."""

import hashlib
import json
import sys

import pytest
from support.exported import PER_STAGE, PROXY, a_record, a_study, exported

from skexplore import __version__
from skexplore.arch.backbones import get_backbone
from skexplore.arch.notation import parse_blocks
from skexplore.errors import UserError
from skexplore.export.block_json import NEW_IN, SCHEMA, read_block_file
from skexplore.export.code import code
from skexplore.export.folder import export_block
from skexplore.export.texts import texts, weights_note
from skexplore.export.verification import verdict, verify


def failed(checks):
    return [check.name for check in checks if not check.ok]


def rewrite(out, change):
    """Alter block.json as someone would who also knows how to renew its digest."""
    file = out / "block.json"
    file.write_text(json.dumps(change(json.loads(file.read_text()))))
    block = read_block_file(out)
    file.write_text(block.to_json())


def renew(out, name):
    """Write the hash of an altered file into block.json, as someone would who wants it to pass."""
    digest = hashlib.sha256((out / name).read_bytes()).hexdigest()

    def change(data):
        for file in [data["code"], *data.get("files", [])]:
            if file["file"] == name:
                file["sha256"] = digest
        return data

    rewrite(out, change)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("block", "options"),
    [
        ("k3+k5g64+k3d3/r8/L16", {"scale": "proxy", "onnx": True}),
        (PER_STAGE, {"weights": False}),
    ],
)
def test_export_verifies(tmp_path, block, options):
    out = exported(tmp_path, block, **options)
    before = sorted(out.iterdir())
    checks = verify(out)
    assert failed(checks) == []
    assert sorted(out.iterdir()) == before
    names = " ".join(check.name for check in checks)
    for wanted in ("reference cost, fvcore", "proxy cost, fvcore", "runs without skexplore", "equal outputs"):
        assert wanted in names
    assert ("block.onnx by onnxruntime" in names) == ("onnx" in options)
    assert all(check.done for check in checks)
    assert verdict(checks) == f"verified: {len(checks)} checks passed; block.py was executed"


@pytest.fixture
def quick(monkeypatch):
    """Leave out what takes seconds and is checked elsewhere: fvcore's count, and block.py in its own process."""
    monkeypatch.setattr("skexplore.export.verification._compare_code", lambda *_: iter(()))
    monkeypatch.setattr("skexplore.export.verification.COUNTED", ())
    monkeypatch.setattr("skexplore.export.verification.count", lambda *_: None)


# of the exports that users have: these texts must not change
CODE_BEFORE_SCHEMA_3 = {
    "k3+k5g64+k3d3/r8/L16": "5813da83c20df6682b2213a35a1613f7918a282e8b37e919673f6d0721c3f399",
    PER_STAGE: "c1b39e5ac6c05df7de9a95d21d1c353a2f0c13e1d0e8adb300d445cb54eb27d2",
    "k3+k3d2/sum": "42d2df77ca7bee399bea4bf9aee51dbf795e09a951c5f6158793d46ab2593437",
}
CODE_OF_SCHEMA_4 = {
    "k3+k5g64+k3d3/r8/L16": "a792a547c6d39faedd83543d28299f654d620f7ac36e10ba3663030ab0d077fd",
    PER_STAGE: "6a500f8378a203d0e6ceff01433322e0b5e48fc937576e37e8d4114471be8af4",
    "k3+k3d2/sum": "42d2df77ca7bee399bea4bf9aee51dbf795e09a951c5f6158793d46ab2593437",
}
TEXTS = {  # by version and schema
    ("0.1.0", 3): "60bd74491963c665322fcced6e8a22eb140b5e88e164bb7498879a7b628dc0c8",
    ("0.2.0", 4): "60bd74491963c665322fcced6e8a22eb140b5e88e164bb7498879a7b628dc0c8",
    ("0.2.0", 5): "ad942ffcde0536544ebeb19f1311029ea34da4c639a5466fd853d9c1ecde5556",
    ("0.2.0", 6): "ad942ffcde0536544ebeb19f1311029ea34da4c639a5466fd853d9c1ecde5556",
}


@pytest.mark.parametrize("block", CODE_BEFORE_SCHEMA_3)
@pytest.mark.parametrize(("schema", "known"), [(2, CODE_BEFORE_SCHEMA_3), (4, CODE_OF_SCHEMA_4)])
def test_code_before_schema_5_is_still_the_same(block, schema, known):
    text = code(parse_blocks(block), get_backbone(PROXY), "reference", schema=schema)
    assert hashlib.sha256(text.encode()).hexdigest() == known[block], (
        f"block.py of schema {schema} changed: genuine exports would be called altered"
    )


def test_texts_of_this_version_and_schema_are_still_the_same(tmp_path):
    block = read_block_file(exported(tmp_path, "k3+k3d2", weights=False))
    found = json.dumps([texts(block), weights_note(block)]).encode()
    assert hashlib.sha256(found).hexdigest() == TEXTS.get((__version__, SCHEMA)), (
        "an exported text changed: genuine exports of this version and schema would be called altered; once it is "
        "released, a change needs a new version or schema, and its own line in TEXTS"
    )


def test_an_export_of_schema_1_verifies(tmp_path, quick):
    out = exported(tmp_path, "k3")
    for name in ("timm.json", "block.svg", "place.svg"):
        (out / name).unlink()
    data = json.loads((out / "block.json").read_text()) | {"schema": 1}
    (out / "block.json").write_text(
        json.dumps({k: v for k, v in data.items() if k not in NEW_IN[2] + NEW_IN[3] + NEW_IN[4] + NEW_IN[5]})
    )
    rewrite(out, lambda data: data)
    assert "onnx" not in json.loads((out / "block.json").read_text())
    (out / "block.py").write_text(code(parse_blocks("k3"), get_backbone(PROXY), "reference", schema=2))
    renew(out, "block.py")
    assert failed(verify(out)) == []


@pytest.fixture
def onnx_folder(tmp_path, quick):
    return exported(tmp_path, "k3+k3d2", scale="proxy", onnx=True)


def test_each_file_altered_in_one_byte(onnx_folder):
    assert failed(verify(onnx_folder)) == []
    names = {path.name for path in onnx_folder.iterdir()} - {"block.json"}
    assert names == {
        "block.py", "weights.safetensors", "block.onnx", "timm.json", "block.svg", "place.svg", "README.md",
    }  # fmt: skip
    for name in names:
        whole = (onnx_folder / name).read_bytes()
        data = bytearray(whole)
        data[len(data) // 2] ^= 1
        (onnx_folder / name).write_bytes(data)
        assert f"{name} unchanged" in failed(verify(onnx_folder))
        (onnx_folder / name).unlink()
        assert f"{name} unchanged" in failed(verify(onnx_folder))
        (onnx_folder / name).write_bytes(whole)


def alter_onnx(out, change):
    """Alter block.onnx as someone would who also knows how to renew the hash."""
    onnx = pytest.importorskip("onnx")
    file = out / "block.onnx"
    model = onnx.load(str(file))
    change(model, onnx.numpy_helper)
    file.write_bytes(model.SerializeToString())
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    rewrite(
        out,
        lambda data: data | {"onnx": data["onnx"] | {"file": {"file": "block.onnx", "sha256": digest}}},
    )


def test_one_weight_of_the_onnx_file_altered_with_a_new_hash(onnx_folder):
    def change(model, helper):
        tensor = next(t for t in model.graph.initializer if t.name == "classifier.bias")
        values = helper.to_array(tensor).copy()
        values[3] += 0.001
        tensor.CopyFrom(helper.from_array(values, tensor.name))

    alter_onnx(onnx_folder, change)
    assert failed(verify(onnx_folder)) == ["block.onnx by onnxruntime"]


def test_dilation_of_the_onnx_file_altered_with_a_new_hash(onnx_folder):
    def change(model, _):
        node = next(node for node in model.graph.node if node.name == "stages.0.0.sk.branches.1.0")
        for attribute in node.attribute:
            if attribute.name in ("dilations", "pads"):
                attribute.ints[:] = [3 for _ in attribute.ints]

    alter_onnx(onnx_folder, change)
    assert failed(verify(onnx_folder)) == ["block.onnx by onnxruntime"]


def test_file_that_is_no_onnx_with_a_new_hash(onnx_folder):
    alter_onnx(onnx_folder, lambda model, _: model.graph.ClearField("node"))
    assert failed(verify(onnx_folder)) == ["block.onnx by onnxruntime"]


def test_onnx_without_onnxruntime_is_said_not_to_be_checked(onnx_folder, monkeypatch, command):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    (check,) = [check for check in verify(onnx_folder) if not check.done]
    assert "onnxruntime is not installed" in check.detail
    code, out, _ = command("verify", str(onnx_folder))
    assert code == 0
    assert "NOT CHECKED block.onnx by onnxruntime" in out
    assert out.splitlines()[-1].startswith("PARTLY verified: ")
    assert "1 could not be made (block.onnx by onnxruntime)" in out.splitlines()[-1]


@pytest.mark.parametrize("name", ["weights.safetensors", "block.onnx"])
def test_file_of_unknown_origin(tmp_path, quick, name):
    out = exported(tmp_path, "k3", weights=False)
    (out / name).write_bytes(b"from somewhere")
    assert f"{name} unchanged" in failed(verify(out))


def test_command_fails_after_one_number_was_altered(tmp_path, quick, command):
    out = exported(tmp_path, "k3", weights=False)
    assert command("verify", str(out))[0] == 0
    file = out / "block.json"
    file.write_text(file.read_text().replace('"val_error": 0.3124', '"val_error": 0.3123'))
    code, stdout, _ = command("verify", str(out))
    assert code == 1
    assert "FAILED block.json unchanged" in stdout


def test_one_weight_altered(tmp_path):
    out = exported(tmp_path, "k3+k3d2")
    file = out / "weights.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    assert "weights.safetensors unchanged" in failed(verify(out))


def every_number(data, path=()):
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield (*path, key)
        yield from every_number(value, (*path, key))


def test_every_number_altered_alone(tmp_path):
    out = exported(tmp_path, "k3+k3d2", weights=False)
    whole = (out / "block.json").read_text()
    paths = list(every_number(json.loads(whole)))
    assert len(paths) > 25
    for path in paths:
        data = json.loads(whole)
        inner = data
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] += 1 if isinstance(inner[path[-1]], int) else 1e-6
        (out / "block.json").write_text(json.dumps(data))
        if path == ("schema",):
            with pytest.raises(UserError, match="schema 7"):
                verify(out)
        else:
            assert failed(verify(out)), path


def test_cost_altered_with_a_new_digest(tmp_path):
    out = exported(tmp_path, "k3+k3d2", weights=False)

    def change(data):
        data["reference"]["cost"]["macs"] += 1
        return data

    rewrite(out, change)
    assert "reference cost, closed form" in failed(verify(out))


def test_block_altered_with_a_new_digest(tmp_path):
    out = exported(tmp_path, "k3+k3d2", weights=False)
    rewrite(out, lambda data: data | {"block": "k3+k3d3"})
    assert "ids" in failed(verify(out))


@pytest.mark.slow
def test_definition_altered_in_the_code(tmp_path):
    out = exported(tmp_path, "k3+k3d2", weights=False)
    file = out / "block.py"
    text = file.read_text()
    changed = text.replace("dilation=2", "dilation=3")  # neither parameters nor multiply-adds move
    assert changed != text
    file.write_text(changed)
    assert "block.py unchanged" in failed(verify(out))
    renew(out, "block.py")
    assert failed(verify(out)) == ["block.py as written"]
    checks = verify(out, run_foreign_code=True)
    assert failed(checks) == ["equal outputs"]
    assert "1 could" not in verdict(checks)
    assert verdict(checks).startswith("NOT verified: 1 of ")
    assert verdict(checks).endswith("(equal outputs); block.py was executed")


def test_code_that_needs_skexplore_fails(tmp_path, monkeypatch):
    out = exported(tmp_path, "k3", weights=False)
    code = out / "block.py"
    code.write_text(
        code.read_text().replace("from torch import", "import skexplore.nn.network\nfrom torch import", 1)
    )
    renew(out, "block.py")
    monkeypatch.setattr(
        "skexplore.export.verification.count", lambda network, resolution: read_block_file(out).proxy.cost
    )
    checks = verify(out, run_foreign_code=True)
    assert failed(checks) == ["reference cost, fvcore", "block.py runs without skexplore"]
    assert "skexplore" in checks[-1].detail


@pytest.mark.parametrize("left", [None, "", "[]", "{}", '{"default": "reference"}'])
def test_code_that_leaves_no_readable_result_fails(tmp_path, monkeypatch, command, left):
    monkeypatch.setattr("skexplore.export.verification.COUNTED", ())
    monkeypatch.setattr("skexplore.export.verification.count", lambda *_: None)
    out = exported(tmp_path, "k3", weights=False)
    writes = "" if left is None else f"open(sys.argv[4], 'w').write({left!r})\n"
    (out / "block.py").write_text(f"import os, sys\n{writes}os._exit(0)\n")
    renew(out, "block.py")
    status, stdout, _ = command("verify", str(out), "--run-foreign-code")
    assert status == 1
    assert "FAILED block.py runs without skexplore: ended without a result that can be read" in stdout


def test_other_resolution_with_a_new_digest(tmp_path):
    out = exported(tmp_path, "k3", weights=False)
    rewrite(out, lambda data: data | {"proxy": data["proxy"] | {"resolution": 0}})
    assert "proxy network" in failed(verify(out))


def test_missing_file_is_a_failed_check(tmp_path):
    out = exported(tmp_path, "k3")
    (out / "weights.safetensors").unlink()
    assert "weights.safetensors unchanged" in failed(verify(out))


@pytest.mark.parametrize("content", [None, "", "{", "[]", "{}", '{"schema": 1}', "\x00\x01"])
def test_foreign_folder(tmp_path, content):
    if content is not None:
        (tmp_path / "block.json").write_text(content)
    with pytest.raises(UserError, match=r"block\.json"):
        verify(tmp_path)


def test_path_out_of_the_folder_is_refused(tmp_path):
    out = exported(tmp_path, "k3", weights=False)
    file = out / "block.json"
    file.write_text(file.read_text().replace('"file": "block.py"', '"file": "../block.py"'))
    with pytest.raises(UserError, match="same folder"):
        verify(out)


def test_altered_code_with_new_digests_is_not_executed(tmp_path, command):
    out, trace = exported(tmp_path, "k3", weights=False), tmp_path / "executed"
    file = out / "block.py"
    file.write_text(file.read_text() + f"\nopen({str(trace)!r}, 'w').close()\n")
    renew(out, "block.py")
    status, stdout, _ = command("verify", str(out))
    assert status == 1
    assert not trace.exists()
    assert stdout.splitlines()[-1].startswith("NOT verified: 1 of ")
    assert stdout.splitlines()[-1].endswith("(block.py as written); nothing was executed")
    assert "--run-foreign-code" in stdout
    assert verdict(verify(out, run_foreign_code=True)).endswith("block.py was executed")
    assert trace.exists()


def replaced(data, path, value):
    *inner, last = path
    place = data
    for key in inner:
        place = place[key]
    place[last] = value
    return data


@pytest.mark.parametrize(
    ("path", "value", "wanted"),
    [
        (("weights_note",), "get them from `http://example.org`", "weights_note as written"),
        (("split", "val_images"), 10_000, "ids"),
        (("split", "dataset"), "cifar100", "ids"),
        (("split", "classes"), 100, "ids"),
        (
            ("anchors",),
            [{"block": "k3", "trainings": 9, "lowest": 0.9, "highest": 0.9}],
            "README.md as written",
        ),
        (("val_error",), 0.01, "README.md as written"),
        (("weights_sha256",), "0" * 64, "weights of this training"),
    ],
)
def test_data_altered_with_a_new_digest(tmp_path, quick, path, value, wanted):
    out = exported(tmp_path, "k3")
    rewrite(out, lambda data: replaced(data, path, value))
    checks = verify(out)
    assert wanted in failed(checks)
    assert verdict(checks).endswith("; nothing was executed")


@pytest.mark.parametrize("name", ["README.md", "timm.json", "block.svg", "place.svg"])
def test_text_altered_with_a_new_hash(tmp_path, quick, name):
    out = exported(tmp_path, "k3", weights=False)
    (out / name).write_text((out / name).read_text() + " ")
    renew(out, name)
    assert failed(verify(out)) == [f"{name} as written"]
    rewrite(
        out, lambda data: data | {"version": "0.0.9"}
    )  # another version may have other words: said, not failed
    checks = verify(out)
    assert failed(checks) == []
    assert f"1 could not be made ({name} as written)" in verdict(checks)
    assert verdict(checks).startswith("PARTLY verified: ")
    (check,) = [check for check in checks if not check.done]
    assert check.detail == "block.json says that version 0.0.9 wrote it; not compared with its words"
    rewrite(out, lambda data: data | {"files": [file for file in data["files"] if file["file"] != name]})
    assert failed(verify(out)) == [f"{name} unchanged"]


def test_weights_without_a_hash_in_the_record_are_said_to_be_unchecked(tmp_path, quick):
    out = exported(tmp_path, "k3")
    assert "their SHA-256 was the one that the training had recorded" in (out / "README.md").read_text()
    record = a_record("k3")
    export_block(a_study(record), record, tmp_path / "study", out)
    assert "These weights were not checked" in (out / "README.md").read_text()
    checks = verify(out)
    assert failed(checks) == []
    assert "1 could not be made (weights of this training)" in verdict(checks)
