"""Search spaces: strict files, what levels mean, and what a backbone can build of them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from support.small_spaces import PAIR, WIDTHS, space, spaces

from skexplore.arch.backbones import REFERENCE, get_backbone
from skexplore.arch.notation import format_blocks, parse_block, parse_blocks
from skexplore.arch.reference import canonical_at_reference
from skexplore.errors import UserError
from skexplore.space.encoder import encode
from skexplore.space.space import Space, shipped_spaces

PROXY = get_backbone("8x4d-1111-s2")


def written(text: str | bytes, name: str = "given.yaml") -> str:
    Path(name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return name


def refusal(text: str | bytes) -> list[str]:
    with pytest.raises(UserError) as caught:
        Space.load(written(text))
    return str(caught.value).splitlines()


# -- finding and reading


def test_the_papers_space_is_known_by_name():
    loaded = Space.load("sk-paper")
    assert loaded.name == "sk-paper"
    assert loaded.raw_size == 190_512
    assert loaded.decisions["branches.2"][0] == "none"
    assert format_blocks((loaded.base,)) == "k3"


def test_a_space_is_read_from_a_path_with_its_levels_in_order():
    loaded = Space.load(
        written(
            "name: mine\ndescription: why\nbase: k3+k3d2\ndecisions:\n  reduction: [16, 4]\n  fuse: [sum, select]\n"
        )
    )
    assert (loaded.name, loaded.description, loaded.base) == ("mine", "why", parse_block("k3+k3d2"))
    assert list(loaded.decisions.items()) == [("reduction", (16, 4)), ("fuse", ("sum", "select"))]


def test_the_current_folders_space_comes_before_the_shipped_one():
    Path("search_spaces").mkdir()
    written("name: sk-paper\nbase: k5\ndecisions: {reduction: [8, 16]}\n", "search_spaces/sk-paper.yaml")
    assert Space.load("sk-paper").base == parse_block("k5")
    assert shipped_spaces()["sk-paper"] == Path("search_spaces/sk-paper.yaml")


def test_an_unknown_space_suggests_the_nearest():
    with pytest.raises(
        UserError, match=r"unknown space 'sk-papr' \(did you mean sk-paper\?\); known: .*sk-paper"
    ):
        Space.load("sk-papr")
    with pytest.raises(UserError, match=r"unknown space 'zzzzzz'; known"):
        Space.load("zzzzzz")


@pytest.mark.parametrize("source", ["absent.yaml", "folder/absent", "."])
def test_a_path_that_is_no_file_is_refused(source):
    with pytest.raises(UserError, match=r"not found|unknown space"):
        Space.load(source)


# -- strictness


def test_a_file_wrong_in_three_places_names_all_three():
    lines = refusal("name: a b\nbase: k4\ndecisions:\n  branches.1: [k3, k3d0x]\n")
    assert len(lines) == 3
    assert all(line.startswith("given.yaml: ") for line in lines)
    assert [line.split(": ")[1] for line in lines] == ["name", "base", "decisions.branches.1"]
    assert "kernel 4" in lines[1]
    assert "k3d0x" in lines[2]


def test_wrong_types_and_wrong_values_of_levels_are_named_together():
    lines = refusal(
        "name: x\nbase: k3\ndecisions:\n  reduction: [4, true]\n  fuse: [product]\n  min_dim: [1.5]\n"
    )
    places = [line.split(": ")[1] for line in lines]
    assert places == ["decisions.reduction", "decisions.fuse", "decisions.min_dim"]


def test_missing_and_unknown_keys_are_named():
    keys = "keys: name, description, reference, base, decisions, conditions, constraints"
    assert refusal("name: x\nbaze: k3\ndecision: {}\nzzz: 1\n") == [
        f"given.yaml: baze: unknown key (did you mean base?); {keys}",
        f"given.yaml: decision: unknown key (did you mean decisions?); {keys}",
        f"given.yaml: zzz: unknown key; {keys}",
        "given.yaml: base: missing",
        "given.yaml: decisions: none given; a space needs at least one",
    ]


@pytest.mark.parametrize(
    "path",
    [
        "kernel",
        "branches",
        "branches.0",
        "branches.9",
        "branches.1.kernel",
        "stages.0.fuse",
        "stages.2",
        "fuse.1",
        "1",
    ],
)
def test_an_unknown_decision_is_refused_with_what_is_known(path):
    (line,) = refusal(f"name: x\nbase: k3\ndecisions: {{'{path}': [k3]}}\n")
    assert line.startswith(f"given.yaml: decisions.{path}: unknown decision; expected branches.N")


def test_a_stage_that_the_reference_lacks_is_refused():
    (line,) = refusal("name: x\nbase: k3\ndecisions: {stages.5.branches.1: [k3]}\n")
    assert line == "given.yaml: decisions.stages.5.branches.1: stage 5: the reference has 4 stages"


def test_a_decision_given_twice_is_refused():
    (line,) = refusal("name: x\nbase: k3\ndecisions:\n  fuse: [sum]\n  fuse: [select]\n")
    assert "line 5" in line
    assert "duplicate key" in line


def test_python_tags_are_refused_and_not_run():
    (line,) = refusal("name: !!python/object/apply:os.mkdir [evil]\nbase: k3\n")
    assert line.startswith("given.yaml: line 1: tags such as !!python/object/apply:os.mkdir are not")
    assert not Path("evil").exists()


@pytest.mark.parametrize("text", ["", "# only a comment\n", "- a\n- b\n", "just text\n", "42\n"])
def test_a_file_that_is_no_mapping_is_refused(text):
    (line,) = refusal(text)
    assert line.startswith("given.yaml: top level: ")


@pytest.mark.parametrize("junk", [b"\x89PNG\r\n\x1a\n\x00\xff", bytes(range(256))])
def test_binary_junk_is_refused(junk):
    assert refusal(junk) == ["given.yaml: not a text file (UTF-8 expected)"]


@pytest.mark.parametrize(
    "level", ["true", "1.0", "1e1", "[4]", "{a: 1}", "null", "'4'", "0", "-4", "10000", ".nan"]
)
@pytest.mark.parametrize("path", ["reduction", "min_dim", "branches.1.groups"])
def test_a_number_must_be_a_whole_positive_one(path, level):
    lines = refusal(f"name: x\nbase: k3\ndecisions: {{{path}: [8, {level}]}}\n")
    assert lines
    assert all(line.startswith(f"given.yaml: decisions.{path}") for line in lines)


@pytest.mark.parametrize("level", ["3", "true", "k4", "K3", "k3d0", "k3+k5", "None", "null"])
def test_a_branch_level_must_be_a_branch_or_none(level):
    lines = refusal(f"name: x\nbase: k3\ndecisions: {{branches.1: [k3, {level}]}}\n")
    assert lines
    assert all(line.startswith("given.yaml: decisions.branches.1") for line in lines)


@pytest.mark.parametrize("level", ["none", "mean", "1", "false"])
def test_fuse_is_select_or_sum(level):
    lines = refusal(f"name: x\nbase: k3\ndecisions: {{fuse: [select, {level}]}}\n")
    assert all(line.startswith("given.yaml: decisions.fuse") for line in lines)


def test_groups_inside_a_branch_level_are_allowed():
    loaded = Space.load(written("name: x\nbase: k3g128\ndecisions: {branches.1: [k3, k5g64]}\n"))
    assert [format_blocks(loaded.decode(point)) for point in loaded.points()] == ["k3", "k5g64"]


def test_groups_inside_a_branch_level_and_in_a_decision_are_refused():
    (line,) = refusal(
        "name: x\nbase: k3\ndecisions: {branches.1: [k3, k5g64], branches.1.groups: [32, 64]}\n"
    )
    assert line.startswith("given.yaml: decisions.branches.1: ")
    assert "branches.1.groups" in line


@pytest.mark.parametrize(("levels", "problem"), [("[]", "no levels"), ("[4, 8, 4]", "given twice")])
def test_no_levels_and_equal_levels_are_refused(levels, problem):
    (line,) = refusal(f"name: x\nbase: k3\ndecisions: {{reduction: {levels}}}\n")
    assert line.startswith("given.yaml: decisions.reduction: ")
    assert problem in line


def test_a_space_without_decisions_is_refused():
    (line,) = refusal("name: x\nbase: k3\n")
    assert line == "given.yaml: decisions: none given; a space needs at least one"


@pytest.mark.parametrize(
    "decisions",
    [
        "{branches.1: [k3, none]}",
        "{branches.1: [none, k3], branches.2: [k5, none]}",
        "{stages.3.branches.1: [k3, none]}",
    ],
)
def test_a_space_in_which_every_branch_can_be_none_is_refused(decisions):
    lines = refusal(f"name: x\nbase: k3\ndecisions: {decisions}\n")
    assert lines[0].startswith("given.yaml: decisions: with none wherever it is allowed no block is left")


# -- what levels mean


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ({"branches.2": "k3d2", "branches.2.groups": 32, "reduction": 16}, "k3+k3d2"),
        ({"branches.2": "k3d2", "branches.2.groups": 64, "reduction": 4}, "k3+k3d2g64/r4"),
        ({"branches.2": "k1", "branches.2.groups": 32, "reduction": 16}, "k1+k3"),
        ({"branches.2": "none", "branches.2.groups": 64, "reduction": 4}, "k3"),
        ({"branches.2": "none", "branches.2.groups": 32, "reduction": 16}, "k3"),
    ],
)
def test_levels_decode_to_the_block_they_say(levels, expected):
    assert PAIR.decode(levels) == parse_blocks(expected)


def test_a_decision_keeps_what_the_base_says_elsewhere():
    base = space({"branches.1": ("k5", "k3")}, base="k3+k3d2g64/r4/L64")
    assert base.decode({"branches.1": "k5"}) == parse_blocks("k3d2g64+k5/r4/L64")


def test_a_stages_decision_frees_that_stage_alone():
    free = space({"stages.2.branches.2": ("k5", "none"), "stages.4.reduction": (4, 16)}, base="k3+k3d2")
    blocks = free.decode({"stages.2.branches.2": "k5", "stages.4.reduction": 4})
    assert [format_blocks((block,)).split("/")[0] for block in blocks] == [
        "k3+k3d2",
        "k3+k5",
        "k3+k3d2",
        "k3+k3d2",
    ]
    assert [block.dim(width) for block, width in zip(blocks, WIDTHS, strict=True)] == [32, 32, 32, 256]
    same = free.decode({"stages.2.branches.2": "none", "stages.4.reduction": 16})
    assert same == parse_blocks("k3+k3d2;k3;k3+k3d2;k3+k3d2")


def test_a_stages_decision_overrides_the_tied_one_on_its_stage():
    both = space({"branches.1": ("k3", "k7"), "stages.1.branches.1": ("k1", "k5")})
    assert both.decode({"branches.1": "k7", "stages.1.branches.1": "k5"}) == parse_blocks("k5;k7;k7;k7")


def test_stages_star_ties_all_stages():
    star = space({"stages.*.branches.1": ("k3", "k5"), "stages.*.branches.1.groups": (32, 64)})
    assert star.decode({"stages.*.branches.1": "k5", "stages.*.branches.1.groups": 64}) == parse_blocks(
        "k5g64"
    )


def test_stages_that_agree_are_tied_again():
    free = space({f"stages.{stage}.branches.1": ("k3", "k5") for stage in (1, 2, 3, 4)})
    assert free.decode(dict.fromkeys(free.decisions, "k5")) == parse_blocks("k5")


@settings(max_examples=80)
@given(spaces(), st.integers(0, 100))
def test_decoded_blocks_are_canonical_and_round_trip(given_space, seed):
    blocks = given_space.decode(given_space.sample(random.Random(seed)))
    assert canonical_at_reference(blocks) == blocks
    assert parse_blocks(format_blocks(blocks)) == blocks
    assert len(blocks) in (1, len(REFERENCE.stages))


def test_points_are_all_combinations_once_and_samples_are_among_them():
    points = [tuple(sorted(point.items())) for point in PAIR.points()]
    assert len(points) == len(set(points)) == PAIR.raw_size == 12
    generator = random.Random(0)
    samples = {tuple(sorted(PAIR.sample(generator).items())) for _ in range(500)}
    assert samples == set(points)


# -- backbones and identity


def test_every_level_that_a_backbone_cannot_build_is_listed():
    bad = space({"branches.1.groups": (2, 32, 48), "min_dim": (1, 2, 32), "reduction": (3, 5)})
    with pytest.raises(UserError) as caught:
        bad.check_buildable(PROXY)
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[1:3] for line in lines] == [
        ["decisions.branches.1.groups", "level 2"],
        ["decisions.branches.1.groups", "level 48"],
        ["decisions.min_dim", "level 2"],
    ]
    assert all(line.startswith("space test: ") and "8x4d-1111-s2" in line for line in lines)


@pytest.mark.parametrize("backbone", ["sknet50", "8x4d-1111-s2", "16x4d-1111", "32x4d-1111"])
def test_the_shipped_space_builds_on_the_proxies(backbone):
    Space.load("sk-paper").check_buildable(get_backbone(backbone))


def test_a_level_of_one_stage_must_fit_that_stage_alone():
    space({"stages.4.branches.1.groups": (32, 1024)}).check_buildable(PROXY)
    with pytest.raises(UserError, match=r"decisions.stages.1.branches.1.groups: level 1024"):
        space({"stages.1.branches.1.groups": (32, 1024)}).check_buildable(PROXY)


@pytest.mark.parametrize("decisions", [{"branches.1": ("k3", "k5")}, {"stages.*.branches.1.groups": (32,)}])
def test_what_a_decision_replaces_of_the_base_need_not_be_buildable(decisions):
    space(decisions, base="k3g2").check_buildable(PROXY)


@pytest.mark.parametrize("base", ["k3g2", "k3+k3d2/L30"])
def test_a_base_that_a_backbone_cannot_build_is_refused(base):
    with pytest.raises(UserError, match=r"space test: base: .*8x4d-1111-s2"):
        space({"reduction": (4, 16)}, base=base).check_buildable(PROXY)


def test_the_hash_is_of_base_and_decisions_not_of_the_name():
    one = space({"reduction": (4, 16)})
    assert one.hash == Space(name="other", description="text", base=one.base, decisions=one.decisions).hash
    others = [
        space({"reduction": (4, 8)}),
        space({"reduction": (4, 16, 32)}),
        space({"min_dim": (4, 16)}),
        space({"reduction": (4, 16)}, base="k5"),
    ]
    assert len({one.hash, *(other.hash for other in others)}) == 5


def test_kernels_are_those_that_can_stand_in_each_stage(tmp_path):
    file = tmp_path / "some.yaml"
    file.write_text(
        "name: some\nbase: k3+k5g64+k1\ndecisions:\n  branches.1: [k3d2, k7]\n  branches.4: [none, k3d3]\n"
        "  stages.4.branches.2: [none, k9]\n  branches.3.groups: [32, 64]\n"
    )
    kernels = [sorted(map(str, stage)) for stage in Space.load(file).kernels]
    assert kernels[:3] == [["k1", "k3d2", "k3d3", "k5", "k7"]] * 3
    assert kernels[3] == ["k1", "k3d2", "k3d3", "k7", "k9"]


def test_a_space_must_fit_the_units_of_a_network(tmp_path):
    space = Space.load("sk-paper")
    space.check_buildable(get_backbone("24x1d-111-s2-shuffle"))  # depthwise: groups are its channels
    with pytest.raises(UserError, match=r"3 branches cannot share the 16 channels"):
        space.check_buildable(get_backbone("2x8d-1111-split"))
    file = tmp_path / "late.yaml"
    file.write_text("name: late\nbase: k3\ndecisions:\n  stages.4.branches.2: [none, k3d2]\n")
    Space.load(file).check_buildable(get_backbone("2x8d-1111-split"))
    with pytest.raises(
        UserError, match=r"decisions of single stages for 24x1d-111-shuffle: its 3 stages do not stand for"
    ):
        Space.load(file).check_buildable(get_backbone("24x1d-111-shuffle"))


def test_what_is_absolute_in_the_base_stays_so(tmp_path):
    file = tmp_path / "absolute.yaml"
    file.write_text(
        "name: a\nbase: k3g=8+k3d2/L=16\ndecisions:\n  reduction: [8, 16]\n  branches.1.groups: [4, 8]\n"
    )
    space = Space.load(file)
    blocks = space.decode({"reduction": 8, "branches.1.groups": 4})
    assert format_blocks(blocks) == "k3g=4+k3d2/r8/L=16"
    space.check_buildable(get_backbone("8x4d-1111"))
    with pytest.raises(UserError, match=r"branch k3g=8 cannot be built"):
        space.check_buildable(get_backbone("2x3d-1111"))
    assert encode(space, blocks) == {"reduction": 8, "branches.1.groups": 4}
    with pytest.raises(UserError, match="is not in the space"):
        encode(space, parse_blocks("k3g=4+k3d2/r8/L16"))


def test_groups_must_fit_the_part_of_the_channels_that_a_branch_reads(tmp_path):
    file = tmp_path / "groups.yaml"
    file.write_text("name: g\nbase: k3+k3d2\ndecisions:\n  branches.2.groups: [32, 128]\n")
    with pytest.raises(UserError, match=r"level 128: branch k3g128 cannot be built"):
        Space.load(file).check_buildable(get_backbone("8x4d-1111-split"))
