"""What `verify` checks of an exported folder, and what tampering does to it."""

import hashlib
import json

import pytest
from exported import PER_STAGE, exported

from skexplore.blockfile import read_block_file
from skexplore.errors import UserError
from skexplore.verify import verify


def failed(checks):
    return [check.name for check in checks if not check.ok]


def rewrite(out, change):
    """Alter block.json as someone would who also knows how to renew its digest."""
    file = out / "block.json"
    file.write_text(json.dumps(change(json.loads(file.read_text()))))
    block = read_block_file(out)
    file.write_text(block.to_json())


@pytest.mark.parametrize(("block", "weights"), [("k3+k5g64+k3d3/r8/L16", True), (PER_STAGE, False)])
def test_export_verifies(tmp_path, block, weights):
    out = exported(tmp_path, block, weights=weights)
    before = sorted(out.iterdir())
    checks = verify(out)
    assert failed(checks) == []
    assert sorted(out.iterdir()) == before
    names = " ".join(check.name for check in checks)
    for wanted in ("reference cost, fvcore", "proxy cost, fvcore", "runs without skexplore", "equal outputs"):
        assert wanted in names


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
            with pytest.raises(UserError, match="schema 2"):
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


def test_definition_altered_in_the_code(tmp_path):
    out = exported(tmp_path, "k3+k3d2", weights=False)
    code = out / "block.py"
    text = code.read_text()
    changed = text.replace("dilation=2", "dilation=3")  # neither parameters nor multiply-adds move
    assert changed != text
    code.write_text(changed)
    assert "block.py unchanged" in failed(verify(out))
    digest = hashlib.sha256(changed.encode()).hexdigest()
    rewrite(out, lambda data: data | {"code": {"file": "block.py", "sha256": digest}})
    assert failed(verify(out)) == ["equal outputs"]


def test_code_that_needs_skexplore_fails(tmp_path, monkeypatch):
    out = exported(tmp_path, "k3", weights=False)
    code = out / "block.py"
    code.write_text(code.read_text().replace("import torch\n", "import skexplore.model\nimport torch\n", 1))
    digest = hashlib.sha256(code.read_bytes()).hexdigest()
    rewrite(out, lambda data: data | {"code": {"file": "block.py", "sha256": digest}})
    monkeypatch.setattr("skexplore.verify.count", lambda network, resolution: read_block_file(out).proxy.cost)
    checks = verify(out)
    assert failed(checks) == ["reference cost, fvcore", "block.py runs without skexplore"]
    assert "skexplore" in checks[-1].detail


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
