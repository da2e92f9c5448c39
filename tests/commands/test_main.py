"""The command line as a user types it: results, messages and exit codes."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from skexplore.arch import Place, parse_block, sk_conv_cost


def test_cost_of_the_papers_block(command):
    code, out, err = command("cost", "k3+k3d2")
    assert (code, err) == (0, "")
    assert "27,479,784" in out
    assert "4,462,710,784" in out
    assert "10^9 multiply-adds" in out


def test_cost_as_json_has_the_contract_keys(command):
    code, out, _ = command("cost", "k3d2+k3", "--json")
    assert code == 0
    row = json.loads(out)
    assert list(row) == [
        "block", "arch_id", "backbone", "resolution", "params", "bn_stats", "macs", "gate_macs", "activations",
    ]  # fmt: skip
    assert (row["block"], row["params"], row["macs"]) == ("k3+k3d2", 27479784, 4462710784)
    assert (row["backbone"], row["resolution"], row["bn_stats"], row["gate_macs"]) == (
        "sknet50",
        224,
        84544,
        5519360,
    )


@pytest.mark.parametrize("backbone", [pytest.param("sknet50", marks=pytest.mark.slow), "8x4d-1111-s2"])
def test_cost_verified_by_fvcore(command, backbone):
    code, out, err = command("cost", "k3+k5g64/r8", "--backbone", backbone, "--verify")
    assert code == 0, err
    assert "fvcore counts the same" in out


def test_cost_exits_1_when_the_built_network_differs(command, monkeypatch):
    monkeypatch.setattr("skexplore.nn.differences", lambda *_, **__: {"macs": (1, 2)})
    code, _, err = command("cost", "k3", "--verify")
    assert code == 1
    assert "macs: closed form 1, counted on the built network 2" in err


def test_a_block_comes_from_stdin_too(command, monkeypatch):
    import io

    monkeypatch.setattr("sys.stdin", io.StringIO("k3+k3d2\n"))
    code, out, _ = command("cost", "-", "--json")
    assert (code, json.loads(out)["params"]) == (0, 27479784)


def test_cost_by_stage_adds_up(command):
    code, out, _ = command("cost", "k3+k3d2", "--by-stage", "--json")
    assert code == 0
    row = json.loads(out)
    for key in ("params", "macs", "activations"):
        assert sum(part[key] for part in row["stages"].values()) == row[key]
    assert "stage 4" in command("cost", "k3+k3d2", "--by-stage")[1]


def test_cost_at_another_resolution_and_number_of_classes_is_verified_there(command):
    arguments = ["cost", "k3+k3d2", "--backbone", "8x4d-1111-s2", "--resolution", "40", "--classes", "100"]
    code, out, _ = command(*arguments, "--verify", "--json")
    row = json.loads(out)
    assert (code, row["resolution"], row["verified"]) == (0, 40, True)
    assert row["params"] - json.loads(command("cost", "k3+k3d2", "--backbone", "8x4d-1111-s2", "--json")[1])[
        "params"
    ] == 90 * (512 + 1)


@pytest.mark.parametrize(
    ("block", "sides"), [("k3+k3d2", (7, 7)), ("k5g8/sum", (3, 9)), ("k3+k5g64/r8/L1", (4, 2))]
)
def test_one_sk_convolution_is_counted_by_itself(command, block, sides):
    code, text, _ = command(
        "cost", block, "--width", "128", "--map", f"{sides[0]}x{sides[1]}", "--verify", "--json"
    )
    assert code == 0
    found = json.loads(text)
    own = sk_conv_cost(parse_block(block), Place(inputs=128, width=128, size=sides))
    assert (found["params"], found["macs"], found["verified"]) == (own.params, own.macs, True)
    code, text, _ = command("cost", block, "--width", "128", "--map", "5")
    assert code == 0
    assert f"{sk_conv_cost(parse_block(block), Place(inputs=128, width=128, size=(5, 5))).macs:,}" in text


def test_what_is_built_of_a_block_is_shown_beside_another_backbone(command):
    code, out, _ = command("cost", "k3+k3d2/L=8", "--backbone", "skresnet50")
    assert code == 0
    assert "as built" in out
    assert out.splitlines()[out.splitlines().index("as built in skresnet50") + 2].split() == [
        "1",
        "64",
        "1+1",
        "8",
    ]
    row = json.loads(command("cost", "k3+k3d2", "--backbone", "mobilenetv2", "--json")[1])
    assert row["placed"][1] == {
        "stage": 2,
        "width": [96, 144],
        "groups": [[96, 96], [144, 144]],
        "d": [32, 32],
    }
    assert "placed" not in json.loads(command("cost", "k3+k3d2", "--json")[1])
    assert "as built" in command("cost", "k3g=4+k3d2")[1]
    assert "as built" in command("block", "k3+k3d2relu", "--backbone", "24x1d-111-s2-shuffle")[1]
    # the canonical form is that of the network itself, which has no groups to scale L by: d = 32 everywhere
    assert json.loads(command("cost", "k3+k3/r64", "--backbone", "resnet50", "--json")[1])["block"] == "k3+k3"


def test_an_image_of_any_size_and_channels(command):
    arguments = [
        "cost",
        "k3+k5",
        "--backbone",
        "24x1d-111-shuffle",
        "--resolution",
        "40x24",
        "--in-channels",
        "2",
    ]
    code, out, err = command(*arguments, "--verify", "--json")
    row = json.loads(out)
    assert (code, row["resolution"], row["in_channels"], row["verified"]) == (0, "40x24", 2, True), err
    code, out, _ = command("build", "--block", "k3+k5", *arguments[2:])
    assert code == 0
    assert "2x40x24 -> 10 outputs" in out


def test_latency_says_what_was_measured(command):
    code, out, err = command(
        "latency", "k3", "--backbone", "8x4d-1111-s2", "--batch", "2", "--seconds", "0.1"
    )
    assert (code, err) == (0, "")
    assert out.startswith("k3 in 8x4d-1111-s2 at 32x32: ")
    assert "batch of 2, float32, channels_last" in out
    row = json.loads(
        command("latency", "--system", "sknet29", "--resolution", "8", "--seconds", "0.1", "--json")[1]
    )
    assert (row["network"], row["resolution"], row["batch"]) == ("sknet29", 8, 1)
    assert row["low_ms"] <= row["median_ms"] <= row["high_ms"]
    code, out, err = command("latency", "k3", "--batch", "65536")
    assert (code, out) == (2, "")
    assert "lower --batch" in err


def test_a_small_network_is_said_in_mflops(command):
    out = command("cost", "k3", "--backbone", "shufflenetv2-0.5x")[1]
    assert "40.39 MFLOPs (0.0404 GFLOPs), 1.40 M parameters" in out


def test_block_shows_what_it_means_and_what_was_changed(command):
    code, out, _ = command("block", "k3d2+k3/r64")
    assert code == 0
    for words in (
        "k3+k3d2/r32",
        "sees 5x5",
        "d = 32, 32, 32, 32",
        "changed: branches are sorted",
        "/r64/L32",
    ):
        assert words in out
    row = json.loads(command("block", "k3/r4", "--json")[1])
    assert (row["block"], row["given"], row["d"]) == ("k3", "k3/r4", [None] * 4)
    own = {"kernel": 3, "dilation": 1, "groups": 32, "absolute": False, "act": "", "receptive_field": 3}
    assert row["branches"] == [[own]]
    assert len(row["changed"]) == 1


def test_block_in_a_proxy_shows_what_of_its_kernels_is_measured(command):
    code, out, _ = command("block", "k3+k3d3g64", "--backbone", "8x4d-1111-s2")
    assert code == 0
    assert "0.69 (0.85) *" in out  # k3 in stage 4
    assert "in stage 4 5 of the 9 taps of k3d3 never meet a pixel" in out
    rows = json.loads(command("block", "k3d3", "--backbone", "16x4d-1111", "--json")[1])["taps"]
    assert [(row["stage"], row["branch"], row["unseen"]) for row in rows] == [
        (n, "k3d3", 0) for n in (1, 2, 3, 4)
    ]
    assert round(rows[3]["reference"], 2) == 0.59
    assert "never meet" not in command("block", "k3d3", "--backbone", "16x4d-1111")[1]
    out = command("block", "k7;k3;k3;k3", "--backbone", "8x4d-1111-s2")[1]  # k7 stands in stage 1 alone
    assert "never meet" not in out
    assert "0.80 (0.94) *" in out
    assert "0.33" not in out
    three = json.loads(command("block", "k3", "--backbone", "sknet29", "--json")[1])["taps"]
    assert [row["reference"] for row in three] == [None] * 3  # stages that do not stand for the reference's
    code, out, err = command("block", "k3/sum+", "--backbone", "8x4d")
    assert (code, out) == (2, "")
    code, out, err = command("block", "k3+k3/L24", "--backbone", "2x4d-1111")
    assert (code, out) == (2, "")
    assert "L" in err


def test_place_sets_a_block_on_three_tables(command):
    code, out, _ = command("place", "k3+k3d2")
    assert code == 0
    assert "nearest  K3+K5 SK | K3+K7 SK | K5+K7 SK: params +0.00 %, macs +0.00 %, matched complexity" in out
    row = json.loads(command("place", "k1", "--json")[1])
    assert [placement["table"] for placement in row["placements"]] == [3, 6, 7]
    assert row["placements"][1]["below"] == []


def test_a_new_space_is_listed_shown_and_not_overwritten(command):
    Path("search_spaces").mkdir()
    assert command("space", "new", "search_spaces/mine.yaml")[0] == 0
    names = [row["name"] for row in json.loads(command("space", "list", "--json")[1])]
    assert {"mine", "sk-paper"} <= set(names)
    assert "88 distinct architectures" in command("space", "show", "mine")[1]
    before = Path("search_spaces/mine.yaml").read_text()
    code, _, err = command("space", "new", "search_spaces/mine.yaml")
    assert code == 2
    assert "exists already" in err
    assert Path("search_spaces/mine.yaml").read_text() == before


def test_space_show(command):
    code, out, _ = command("space", "show", "sk-paper", "--budget-gflops", "4.5")
    assert code == 0
    for word in ("branches.1.groups", "distinct architectures", "within the budget", "cheapest    k1g128"):
        assert word in out


def test_space_show_json_has_the_contract_keys(command, tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text("name: s\nbase: k3\ndecisions:\n  branches.1: [k1, k3]\n  branches.2: [none, k3d2]\n")
    code, out, _ = command("space", "show", str(path), "--budget-gflops", "4.3", "--json")
    assert code == 0
    summary = json.loads(out)
    assert list(summary)[:12] == [
        "space", "size", "exact", "feasible", "feasible_share", "macs_min", "macs_median", "macs_max",
        "params_min", "params_median", "params_max", "cheapest",
    ]  # fmt: skip
    assert (summary["size"], summary["exact"], summary["feasible"], summary["cheapest"]) == (4, True, 3, "k1")


BAD = [
    (["cost", "k4"], "odd"),
    (["cost", ""], "empty"),
    (["cost", "k3g3", "--backbone", "sknet50"], "groups that do"),
    (["cost", "k3", "--backbone", "sknet5O"], "did you mean sknet50"),
    (["cost", "nowhere/block.json"], "nowhere/block.json"),
    (["cost", "k3", "--width", "64"], "takes BLOCK, --width and --map and no network"),
    (["cost", "k3", "--width", "64", "--map", "7", "--backbone", "sknet26"], "no network"),
    (
        ["cost", "k3", "--width", "64", "--map", "7y7"],
        "--map '7y7': a side or HEIGHTxWIDTH of 1 to 4,096 pixels",
    ),
    (["cost", "k3", "--resolution", "480x640x3"], "--resolution '480x640x3': a side or HEIGHTxWIDTH"),
    (["cost", "k3", "--in-channels", "0"], "--in-channels"),
    (["cost", "k3g64", "--width", "100", "--map", "7"], "groups that do: 1, 2, 4"),
    (["cost", "k3", "--width", "65536", "--map", "4096", "--verify"], "lower --width or --map"),
    (["cost", "k3;k3;k3;k3", "--width", "64", "--map", "7"], "4 blocks, one per stage"),
    (["block", "k3/r0"], "at least 1"),
    (["place", "k3g3"], "groups that do"),
    (["cost", "k3", "--resolution", "0"], "--resolution"),
    (["space", "new", "x.txt"], ".yaml"),
    (["space", "new", "-x.yaml/"], ".yaml"),
    (["space", "show", "sk-papper"], "did you mean sk-paper"),
    (["space", "show", "none.yaml"], "not found"),
    (["space", "show", "sk-paper", "--budget-gflops", "-1"], "positive"),
    (["space", "show", "sk-paper", "--budget-gflops", "nan"], "positive"),
    (["space", "show", "sk-paper", "--budget-gflops", "1"], "cheapest block"),
    (["search"], "--budget-gflops"),
    (["search", "--budget-gflops", "many"], "valid number"),
    (["search", "--budget-gflops", "0"], "positive"),
    (["search", "--budget-gflops", "nan"], "positive"),
    (["search", "--budget-gflops", "inf"], "positive"),
    (["search", "--budget-gflops", "1"], "cheapest block of sk-paper"),
    (["search", "--budget-gflops", "4.5", "--space", "x"], "unknown space"),
    (["search", "--budget-gflops", "4.5", "--profile", "x"], "unknown profile"),
    (["search", "--budget-gflops", "4.5", "--study", "../x"], "study name"),
    (["search", "--budget-gflops", "4.5", "--study", "<b>"], "study name"),
    (["search", "--budget-gflops", "4.5", "--data-dir", "/no/such/folder"], "/no/such/folder"),
    (["status", "nothing"], "no study at"),
    (["status", "a/../b"], "no study at"),
    (["report", "nothing"], "no study at"),
    (["export", "nothing"], "no study at"),
    (["archive", "nothing"], "no study at"),
    (["verify", "nothing"], "nothing"),
    (["nonsense"], "No such command"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(case[0]) for case in BAD])
def test_bad_input_exits_2_with_a_message_and_writes_nothing(command, arguments, message):
    code, out, err = command(*arguments)
    assert code == 2
    assert message in err
    assert out == ""
    assert "Traceback" not in err
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: s\nname: t\nbase: k3\n", "duplicate"),
        ("name: !!python/object:os.system s\n", "line 1: tags such as"),
        ("\tname: s\n", "valid YAML"),
        ("name: s\nbase: k3\ndecisions:\n  branches.9: [k3]\n", "decisions.branches.9"),
    ],
)
def test_a_bad_space_file_is_named_with_the_place(command, tmp_path, text, message):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    code, _, err = command("search", "--budget-gflops", "4.5", "--space", str(path))
    assert code == 2
    assert message in err
    assert "bad.yaml" in err
    assert not Path("studies").exists()


@pytest.mark.parametrize("content", [b"", b"junk", b"\0" * 30_730_000])
def test_corrupt_data_is_refused_by_name(command, tmp_path, monkeypatch, content):
    monkeypatch.setenv("SKEXPLORE_CACHE", str(tmp_path / "cache"))
    data = tmp_path / "data"
    data.mkdir()
    for name in [*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"]:
        (data / name).write_bytes(content)
    code, _, err = command("search", "--budget-gflops", "4.5", "--data-dir", str(data))
    assert code == 2
    assert "data_batch_1.bin" in err or "data_batch_1" in err
    assert "Traceback" not in err
    assert not Path("studies").exists()
    assert not (tmp_path / "cache" / "cifar10").exists()


def test_status_without_studies_says_how_to_begin(command):
    code, out, _ = command("status")
    assert code == 0
    assert "skexplore search" in out
    assert command("status", "--json")[1].strip() == "[]"


@pytest.mark.parametrize("arguments", [["--help"], ["search", "--help"], ["--version"], ["cost", "k3+k3d2"]])
def test_light_commands_import_neither_torch_nor_optuna(arguments):
    script = (
        "import sys\n"
        f"sys.argv = ['skexplore', *{arguments!r}]\n"
        "from skexplore.cli.app import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "heavy = {'torch', 'optuna', 'pandas', 'plotly', 'torchvision'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_ctrl_c_keeps_what_is_finished_and_says_how_to_go_on(command, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("skexplore.engine.run.run_plan", interrupted)
    code, _, err = command("search", "--budget-gflops", "4.5")
    assert code == 130
    assert "Repeat the same command" in err


def test_every_command_has_a_help_line(command):
    code, out, _ = command("--help")
    assert code == 0
    for name in (
        "search",
        "status",
        "report",
        "export",
        "verify",
        "block",
        "cost",
        "place",
        "space",
        "archive",
    ):
        line = next(line for line in out.splitlines() if line.strip().startswith(name))
        assert len(line.split()) > 3


def test_a_row_of_the_paper_is_a_block_wherever_one_is_asked_for(command, monkeypatch):
    import io

    paper = json.loads(command("cost", "k3+k3d2", "--json")[1])
    assert json.loads(command("cost", "K3+K5", "--json")[1]) == paper
    assert json.loads(command("cost", "3x3 D2 G32", "--json")[1]) == paper
    monkeypatch.setattr("sys.stdin", io.StringIO("K3+K5 SK\n"))
    assert json.loads(command("cost", "-", "--json")[1]) == paper
    assert json.loads(command("block", "K3+K7 sum", "--json")[1])["block"] == "k3+k3d3/sum"
    code, _, err = command("cost", "K3+K9")
    assert (code, "block 'K3+K9'" in err) == (2, True)


def test_help_lists_every_command_once_and_whole_under_a_heading(command):
    from skexplore.cli.common import HEADINGS

    out = command("--help")[1]
    sections = dict(
        zip(HEADINGS, re.split("|".join(f"\n{name}:\n" for name in HEADINGS), out)[1:], strict=True)
    )
    listed = {name: re.findall(r"^  (\S+) ", text, re.MULTILINE) for name, text in sections.items()}
    assert listed["Search"] == ["search", "train", "status", "ablate", "space"]
    assert {"report", "confirm", "compare"} <= {*listed["Decide"]}
    assert listed["Take away"] == ["archive", "export", "verify", "fit"]
    assert "More:" not in out
    assert "..." not in sections["Search"]


@pytest.mark.parametrize(
    ("typed", "proposed"),
    [
        ("status one", ["one-search"]),
        ("report one-search two", ["two-search"]),
        ("search --space sk-p", ["sk-paper"]),
        ("ablate table", ["table3", "table4", "table5", "table5-small", "table6", "table7"]),
        ("ablate table7 --reuse t", ["two-search"]),
    ],
)
def test_the_shell_proposes_studies_and_spaces(tmp_path, typed, proposed):
    for name in ("one-search", "two-search"):
        (tmp_path / "studies" / name).mkdir(parents=True)
        (tmp_path / "studies" / name / "records.jsonl").touch()
    words = ["skexplore", *typed.split()]
    shell = {
        "_SKEXPLORE_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-m", "skexplore.cli.app"],
        cwd=tmp_path,
        env=os.environ | shell,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, proposed, "")


@pytest.mark.parametrize(
    "asked",
    [
        "block k3+k3d2",
        "cost k3+k3d2",
        "place k3+k3d2",
        "systems",
        "reproduce --table 3",
        "space list",
        "space show sk-paper",
        "build --block k3 --backbone 8x4d-1111-s2",
    ],
)
def test_what_is_asked_ends_with_the_next_step_which_is_a_command(command, asked):
    code, out, _ = command(*asked.split())
    assert code == 0
    answer, said = out.split("\nNext:\n")
    assert answer.strip()
    for line in said.splitlines():
        name, *words = shlex.split(line)
        assert (name, command(*words[:1], "--help")[0]) == ("skexplore", 0)
        if words[0] != "train" and "--verify" not in words and "--plan" not in words:
            assert command(*words)[0] == 0


def test_a_narrow_table_breaks_between_words_and_before_the_signs_of_a_block(capsys, monkeypatch):
    from skexplore.cli.display import broken, print_table

    block = "k3+k3d2g64+k3d3g128/r8"
    assert broken(block, 99) == block
    assert broken(block, 12) == "k3+k3d2g64\n+k3d3g128/r8"
    assert broken("k3;k3+k5", 1) == "k3\n;k3\n+k5"
    rows = [{"block": block, "nearest in Table 7": "K3+K5 SK or K3+K7 SK", "error": "33.36 %"}]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    for width in (200, 60, 45, 30):
        monkeypatch.setenv("COLUMNS", str(width))
        print_table(rows, right=("error",))
        lines = re.sub(r"\x1b\[\d+m", "", capsys.readouterr().out).splitlines()
        assert max(map(len, lines)) <= width
        shown = [line.split()[0] for line in lines[1:] if line[:1].strip()]
        parts = re.split(r"(?=[+/])", block)
        assert {part for each in shown for part in re.split(r"(?=[+/])", each)} >= {*parts}, width
