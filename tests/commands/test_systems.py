"""The commands about the paper's networks, as a user types them."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from skexplore.arch import cost
from skexplore.cli.common import signed
from skexplore.paper.accounting import _excess_pct, reproduce
from skexplore.paper.networks import SYSTEMS

KEYS = [
    "table", "system", "definition", "alternative", "paper_params_m", "paper_gflops", "params", "bn_stats", "macs",
    "gate_macs", "bn_elements", "params_diff_pct", "macs_diff_pct", "prints_as", "note", "paper_error_pct",
]  # fmt: skip


def test_systems_lists_all_by_name(command):
    code, out, err = command("systems")
    assert (code, err) == (0, "")
    assert all(f"\n{name} " in out for name in SYSTEMS)
    rows = json.loads(command("systems", "--json")[1])
    assert [row["name"] for row in rows] == list(SYSTEMS)
    by_name = {row["name"]: row for row in rows}
    assert by_name["sknet50"]["rows"] == ["1.3", "2.7", "3.2", "6.2", "7.5", "S9.16"]
    assert by_name["senet50-bn"]["alternative_to"] == "senet50"


def test_cost_of_a_system(command):
    code, out, _ = command("cost", "--system", "senet50", "--verify")
    assert code == 0
    assert "27,559,896" in out
    assert "fvcore counts the same" in out
    row = json.loads(command("cost", "--system", "senet50", "--json")[1])
    assert (row["system"], row["gate"], row["block"], row["arch_id"]) == ("senet50", "se", "k3", None)
    row = json.loads(command("cost", "--system", "sknet50", "--json", "--by-stage")[1])
    assert row["arch_id"] == json.loads(command("cost", "k3+k3d2", "--json")[1])["arch_id"]
    assert sum(part["macs"] for part in row["stages"].values()) == row["macs"] == 4462710784


def test_build_prints_layers_and_totals(command):
    code, out, err = command("build", "--block", "k3+k3d2", "--backbone", "8x4d-1111-s2", "--summary")
    assert (code, err) == (0, "")
    assert "stages.3.0.sk.branches.1.0" in out
    assert "FastConv2d" not in out
    assert "3x32x32 -> 10 outputs, 659,562 params, 9,701,632 macs, " in out
    activations = cost("k3+k3d2", "8x4d-1111-s2").activations
    assert f"{activations:,} activations" in " ".join(out.split())
    small = json.loads(
        command("build", "--block", "k3", "--backbone", "sknet26", "--resolution", "160", "--json")[1]
    )
    assert small["activations"] == cost("k3", "sknet26", resolution=160).activations
    assert small["activations"] < cost("k3", "sknet26").activations  # of the size that was asked for
    rows = json.loads(command("build", "--system", "sknet29", "--summary", "--json")[1])
    assert rows["params"] == sum(layer["params"] for layer in rows["layers"]) == 27739626
    assert {"name", "kind", "form", "shape", "params", "macs", "receptive_field"} == set(rows["layers"][0])


def test_reproduce_prints_every_table_and_its_accountings(command):
    code, out, err = command("reproduce")
    assert (code, err) == (0, "")
    for table in ("1", "2", "3", "4", "5", "6", "7", "S8", "S9"):
        assert f"\nTable {table}\n" in out
    assert "Attention-92: not buildable: " in out
    assert "macs+gate_macs" in out
    heads = {
        f"system #P paper ours diff {unit} paper macs diff +g +b +gb prints as"
        for unit in ("GFLOPs", "MFLOPs")
    }
    assert {" ".join(line.split()) for line in out.splitlines() if line.startswith("  system")} == heads


def test_light_networks_are_shown_in_their_unit(command):
    code, out, _ = command("reproduce", "--table", "4")
    assert code == 0
    (row,) = [line for line in out.splitlines() if line.startswith("  ShuffleNetV2 0.5x (our impl.)")]
    assert row.split("impl.)")[1].split()[3:5] == ["40.39", "40.39"]


def test_networks_of_other_packages_say_from_where(command):
    pytest.importorskip("timm")
    code, out, err = command("reproduce", "--table", "S9")
    assert (code, err) == (0, "")
    assert "densenet-169: torchvision.models.densenet169() at 224x224" in out
    assert "dpn-98: timm.create_model(model_name='dpn98') at 224x224" in out
    (row,) = [line for line in out.splitlines() if line.startswith("  DPN-98")]
    assert row.split()[-4:] == ["-", "-", "-", "params"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "timm", None)
        code, out, err = command("reproduce", "--table", "S9")
    assert code == 0
    assert "DPN-98 needs timm, which is not installed" in err
    assert "DPN-98 (32x4d): not counted: timm.create_model(model_name='dpn98') at 224x224 needs timm" in out


@pytest.mark.parametrize(
    ("percent", "text"), [(-0.001, "+0.00"), (-0.0, "+0.00"), (-0.006, "-0.01"), (2, "+2.00")]
)
def test_nothing_is_printed_as_less_than_nothing(percent, text):
    assert signed(percent) == text


def test_no_difference_is_negative_zero(command):
    row = replace(reproduce("3")[0], params_diff_pct=-0.001, macs_diff_pct=-0.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skexplore.paper.reproduce", lambda _table, _outside: [row])
        out = command("reproduce", "--table", "3")[1]
    assert "-0.00" not in out
    assert out.count("+0.00%") == 2
    assert str(_excess_pct(24.9999999, "25.0")) == "0.0"


def test_reproduce_json_and_csv_have_the_contract_keys(command):
    code, out, err = command("reproduce", "--table", "3", "--json", "--out", "rows.csv")
    assert (code, err) == (0, "wrote rows.csv\n")
    rows = json.loads(out)["rows"]
    assert [list(row) for row in rows] == [KEYS] * 6
    assert [row["params"] for row in rows if row["system"] == "SKNet-50"] == [27479784]
    with Path("rows.csv").open(newline="") as file:
        read = list(csv.DictReader(file))
    assert list(read[0]) == KEYS
    assert [line["macs"] for line in read] == [str(row["macs"]) for row in rows]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cost"], "give either a BLOCK"),
        (["cost", "k3", "--system", "sknet50"], "give either a BLOCK"),
        (["cost", "--system", "sknet5"], "did you mean sknet50"),
        (["cost", "--system", "sknet50", "--backbone", "sknet26"], "has its own"),
        (["cost", "k3", "--backbone", "sknet51"], "did you mean sknet50"),
        (["cost", "k3", "--backbone", "8x4d-11"], "CxGd[-DEPTHS]"),
        (["cost", "k3", "--backbone", ""], "unknown backbone ''"),
        (["cost", "--system", "sknet50", "--backbone", ""], "--backbone '': sknet50 has its own"),
        (["build", "--block", "k3", "--backbone", ""], "unknown backbone ''"),
        (["build", "--system", "sknet50", "--backbone", ""], "--backbone '': sknet50 has its own, sknet50"),
        (["build"], "give either --block BLOCK or --system NAME"),
        (["build", "--block", "k3", "--system", "sknet50"], "give either --block BLOCK or --system NAME"),
        (["build", "--system", "resnext-50"], "did you mean resnext50"),
        (["build", "--system", "sknet50", "--backbone", "sknet26"], "has its own"),
        (["build", "--block", "k4"], "must be odd"),
        (["build", "--block", "k3g3"], "groups that do"),
        (["build", "--block", "k3", "--backbone", "sknet99"], "unknown backbone"),
        (["reproduce", "--table", "8"], "must be one of 1, 2, 3"),
        (["reproduce", "--out", "rows.txt"], "must be a file that ends in .csv, or a folder"),
        (["reproduce", "--out", "/dev/null/rows.csv"], "cannot be written"),
    ],
)
def test_bad_input_exits_2_with_a_message_and_writes_nothing(command, arguments, message):
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert not any(Path.cwd().iterdir())


@pytest.mark.parametrize(
    "arguments",
    [
        ["systems"],
        ["reproduce", "--table", "4"],
        ["cost", "--system", "resnext50-cbam"],
        ["build", "--block", "k4"],
    ],
)
def test_closed_form_commands_import_no_torch(arguments):
    code = (
        "import sys; from skexplore.cli.app import main; sys.argv = ['skexplore', *sys.argv[1:]]\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "assert 'torch' not in sys.modules and 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, timeout=60)


HUGE = "99x99d-9999-c999-o9999"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["build", "--system", "sknet29", "--resolution", "4096"], "sknet29 at 4096x4096"),
        (["cost", "--system", "sknet29", "--resolution", "4096", "--verify"], "lower --resolution or choose"),
        (["build", "--block", "k3", "--backbone", HUGE], "choose a smaller backbone"),
        (["cost", "k3", "--backbone", HUGE, "--verify"], f"k3 in {HUGE} at 32x32"),
    ],
)
def test_what_this_machine_cannot_hold_is_refused_before_torch_is_loaded(arguments, message):
    code = (
        "import sys, importlib; from skexplore.cli.app import main; sys.argv = ['skexplore', *sys.argv[1:]]\n"
        "importlib.import_module('skexplore.arch.costs')._physical_memory = lambda: 16_000_000_000\n"
        "try: main()\n"
        "finally: assert 'torch' not in sys.modules"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=False, capture_output=True, text=True, timeout=60
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert message in ended.stderr
    assert "this machine has 16.0 GB" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_cost_alone_needs_no_memory(command):
    assert command("cost", "k3", "--backbone", HUGE)[0] == 0


def test_the_python_names_are_there_without_torch():
    code = (
        "import sys, skexplore\n"
        "assert 'torch' not in sys.modules\n"
        "assert skexplore.cost('k3+k3d2').params == 27479784\n"
        "assert skexplore.Space.load('sk-paper').name == 'sk-paper'\n"
        "assert skexplore.system_cost('sknet50').macs == 4462710784\n"
        "assert 'torch' not in sys.modules and 'pandas' not in sys.modules\n"
        "found = [getattr(skexplore, name) for name in skexplore.__all__]\n"
        "assert all(callable(one) and one.__doc__ for one in found)\n"
        "assert skexplore.build('k3', '8x4d-1111-s2').training and 'torch' in sys.modules\n"
        "try: skexplore.nothing\n"
        "except AttributeError as error: assert 'nothing' in str(error)\n"
        "else: raise SystemExit('found')\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
