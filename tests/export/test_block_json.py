"""Reading a BLOCK: notation, a path, standard input; and block.json as a strict format."""

import io
import json
from dataclasses import replace

import pytest

from skexplore.arch.costs import arch_id, cost, net_id
from skexplore.arch.notation import parse_blocks
from skexplore.errors import UserError
from skexplore.export.block_json import (
    BlockFile,
    FileHash,
    Place,
    Provenance,
    load_block,
    read_block,
    read_block_file,
)
from skexplore.study.recipe import Recipe, Split

PROXY = "8x4d-1111-s2"


def a_block_file(block="k3+k5g64", **changes):
    file = BlockFile(
        schema=3,
        block=block,
        canonical=block,
        arch_id=arch_id(block),
        net_id=net_id(block, PROXY),
        reference=Place(backbone="sknet50", resolution=224, classes=1000, cost=cost(block)),
        proxy=Place(backbone=PROXY, resolution=32, classes=10, cost=cost(block, PROXY)),
        val_error=0.25,
        seed=0,
        epochs=6,
        recipe=Recipe(epochs=6),
        split=Split(),
        provenance=Provenance(
            study="s",
            trial=1,
            origin="search",
            status="complete",
            key="k",
            command="c",
            environment={"a": "b"},
        ),
        code=FileHash(file="block.py", sha256="0"),
        weights=None,
        weights_note="not kept",
    )
    return replace(file, **changes)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "block.json").write_text(a_block_file().to_json())
    return tmp_path


def test_round_trip(folder):
    file = read_block_file(folder)
    assert file == read_block_file(folder / "block.json")
    assert replace(file, digest="") == a_block_file()
    assert file.digest == file.own_digest()
    assert file.to_json() == (folder / "block.json").read_text()


def test_an_export_of_schema_2_has_the_digest_of_its_time():
    digest = "5c2b374113aac11b67866986335319384eed9d9d5f6fa7ed2927b8da7a35345c"
    assert json.loads(a_block_file(schema=2).to_json())["digest"] == digest


@pytest.mark.parametrize("field", ["origin", "status", "key"])
def test_a_word_of_the_provenance_that_is_none_of_ours_is_refused(folder, field):
    data = json.loads((folder / "block.json").read_text())
    data["provenance"][field] = "<img>"
    (folder / "block.json").write_text(json.dumps(data))
    with pytest.raises(UserError, match=rf"provenance\.{field}: '<img>': must be"):
        load_block(folder)


def test_an_export_of_schema_1_is_read_with_its_own_digest(tmp_path):
    old = a_block_file(schema=1)
    data = json.loads(old.to_json())
    # the digest that the version before schema 2 gave this very content
    assert data["digest"] == "053acda1d374bcdeb49eb2df3faaaf08e97b16546901f5a0a13c69b72f49edac"
    assert not {"scale", "files", "onnx"} & set(data)
    (tmp_path / "block.json").write_text(old.to_json())
    file = read_block_file(tmp_path)
    assert file.digest == file.own_digest()
    assert (file.scale, file.files, file.onnx) == ("reference", (), None)
    assert load_block(tmp_path) == parse_blocks("k3+k5g64")


@pytest.mark.parametrize("text", ["k3", "k3+k3d2", "k3+k5g64/r8/L16", "k3+k3d2/sum", "k3;k3;k3;k3+k3d2"])
def test_notation(text):
    assert read_block(text) == parse_blocks(text)


def test_paths(folder, monkeypatch):
    expected = parse_blocks("k3+k5g64")
    for path in (folder, folder / "block.json", str(folder), f"{folder}/"):
        assert load_block(path) == expected
        assert read_block(str(path)) == expected
    monkeypatch.chdir(folder.parent)
    assert read_block(folder.name) == expected
    monkeypatch.chdir(folder)
    assert read_block("block.json") == expected
    assert read_block(".") == expected


def test_notation_goes_before_a_folder_of_that_name(folder, monkeypatch):
    (folder / "k3").mkdir()
    (folder / "block.json").rename(folder / "k3" / "block.json")
    monkeypatch.chdir(folder)
    assert read_block("k3") == parse_blocks("k3")
    assert read_block("./k3") == parse_blocks("k3+k5g64")
    assert load_block("k3") == parse_blocks("k3+k5g64")


@pytest.mark.parametrize("text", ["k3+k5g64", " k3+k5g64\n", a_block_file().to_json()])
def test_standard_input(monkeypatch, text):
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert read_block("-") == parse_blocks("k3+k5g64")
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert load_block("-") == parse_blocks("k3+k5g64")


@pytest.mark.parametrize("text", ["", "{", "{}", '{"block": "k3"}', "k4", "[1]", "k3" * 600_000])
def test_wrong_standard_input(monkeypatch, text):
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    with pytest.raises(UserError):
        read_block("-")


def test_binary_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe\x00"), encoding="utf-8"))
    with pytest.raises(UserError, match="not text"):
        read_block("-")


@pytest.mark.parametrize("text", ["", "k", "k4", "x" * 5000, "no/such", "k3\0", "k3+", "k3/r0"])
def test_wrong_text(text):
    with pytest.raises(UserError):
        read_block(text)


@pytest.mark.parametrize(
    "text", ["missing.json", "./missing", "/missing/block.json", "~/missing-folder-of-blocks"]
)
def test_missing_path(text):
    with pytest.raises(UserError, match="no such file"):
        read_block(text)


def test_folder_without_block(tmp_path):
    with pytest.raises(UserError, match=r"holds no block\.json"):
        load_block(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": 7}, "schema 7: this version of skexplore reads schema 1, 2, 3, 4, 5, 6"),
        ({"schema": True}, "schema True"),
        ({"schema": 1, "scale": "proxy"}, "schema 1 has no scale"),
        (
            {"schema": 2, "anchors": [{"block": "k3", "trainings": 1, "lowest": 0, "highest": 0}]},
            "2 has no anchors",
        ),
        ({"scale": "huge"}, "scale: 'huge': must be one of reference, proxy"),
        ({"files": [{"file": "../x.svg", "sha256": "0"}]}, "same folder"),
        ({"onnx": {"scale": "reference"}}, r"onnx\.file"),
        ({"schema": "1"}, "schema '1'"),
        ({"block": "k4"}, "block: .*odd"),
        ({"block": "k3"}, "changed after the export"),
        ({"block": 3}, "block: "),
        ({"extra": 1}, "extra: unknown key"),
        ({"val_error": 31.2}, "fraction from 0 to 1"),
        ({"val_error": "0.3"}, "val_error"),
        ({"seed": 0.5}, "seed"),
        ({"code": {"file": "../x.py", "sha256": "0"}}, "same folder"),
        ({"reference": {"backbone": "sknet50"}}, r"reference\.resolution"),
    ],
)
def test_strict(folder, change, message):
    data = json.loads((folder / "block.json").read_text()) | change
    (folder / "block.json").write_text(json.dumps(data))
    with pytest.raises(UserError, match=message):
        load_block(folder)


def test_all_errors_are_named(folder):
    data = json.loads((folder / "block.json").read_text()) | {"seed": "x", "epochs": None}
    (folder / "block.json").write_text(json.dumps(data))
    with pytest.raises(UserError) as error:
        load_block(folder)
    assert "seed" in str(error.value)
    assert "epochs" in str(error.value)
