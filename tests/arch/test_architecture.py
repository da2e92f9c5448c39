"""Networks with something around the block: cost and identity against built networks, and what a factor may change."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch
from torch import nn

from skexplore.arch.architecture import PLAIN, Architecture, Setting
from skexplore.arch.attention import Gate, format_gate, parse_gate
from skexplore.arch.backbones import REFERENCE
from skexplore.arch.costs import Cost, arch_id, net_id
from skexplore.errors import UserError
from skexplore.nn import network as model
from skexplore.nn.flop_count import count
from skexplore.nn.network import build, seeded_build
from skexplore.plan.ablation_file import Definition, load_definition
from skexplore.plan.variants import base_of, expand
from skexplore.shipped import shipped
from skexplore.study.recipe import Recipe, Split, TrainSpec
from skexplore.training import loop as train
from skexplore.training.batches import load_split
from skexplore.training.loop import prepare

PROXY = "8x4d-1111-s2"
BLOCKS = ("k3+k3d2", "k3;k3+k3d2;k3+k3d2/sum;k5")
SETTINGS = (
    PLAIN,
    Setting(fuse_norm=False),
    Setting(gate="se"),
    Setting(gate="cbam/r4", fuse_norm=False),
    Setting(gate="bam"),
    Setting(gate="se/r8/bn"),
)


def built(block: str, setting: Setting, backbone: str = PROXY) -> nn.Module:
    return seeded_build(setting.around(block, backbone), seed=0)


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize("block", BLOCKS)
def test_the_cost_is_that_of_the_network_that_is_built(block, setting):
    """Outside truth: the parameters and buffers of the built network, and fvcore's multiply-adds."""
    own, network = setting.around(block, PROXY).cost(), built(block, setting)
    assert own.params == sum(p.numel() for p in network.parameters())
    statistics = [b.numel() for name, b in network.named_buffers() if "running" in name]
    assert own.bn_stats == sum(statistics)
    if block == BLOCKS[0]:
        assert own.macs == count(network, 32).macs


def test_a_plain_network_keeps_its_identity():
    """Measurements of searches stand for those of ablations: their keys must be equal."""
    for block in BLOCKS:
        assert PLAIN.around(block, PROXY).id == Architecture.of(block, PROXY).id == net_id(block, PROXY)
        assert PLAIN.around(block).id == Architecture.of(block).id == arch_id(block)


def test_what_surrounds_a_block_is_part_of_its_identity():
    found = [setting.around("k3+k3d2", PROXY).id for setting in SETTINGS]
    assert len(set(found)) == len(SETTINGS)
    one, other = (Architecture.of("k3+k3d2", PROXY, gate=gate) for gate in ("se/r16", "se"))
    assert one.id == other.id


def test_a_batchnorm_that_is_not_there_cannot_be_taken_away():
    for block in ("k3", "k3+k3d2/sum"):
        assert Architecture.of(block, PROXY, fuse_norm=False).id == net_id(block, PROXY)


def test_an_architecture_is_made_from_any_way_to_give_it():
    whole = Architecture.of("k3+k3d2", "8x4d", gate="se/r4", fuse_norm=False, classes=7)
    assert Architecture.of(whole) is whole
    assert whole == Architecture.of(whole.blocks, whole.backbone, gate=whole.gate, fuse_norm=False)
    assert whole == Architecture.of(whole.blocks[0], whole.backbone, gate=whole.gate, fuse_norm=False)
    assert (whole.backbone.name, whole.backbone.classes) == ("8x4d", 7)
    assert Architecture.of("k3").backbone is REFERENCE
    for wrong in ({"backbone": "8x4d"}, {"gate": "se"}, {"fuse_norm": False}, {"classes": 3}):
        with pytest.raises(UserError, match="has its own backbone"):
            build(whole, **wrong)
    assert build(whole).classifier.out_features == 7


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
@pytest.mark.parametrize("block", BLOCKS)
def test_the_parts_of_a_cost_are_the_whole(block, setting):
    own = setting.around(block, PROXY)
    parts = own.cost_by_stage(resolution=41)
    assert list(parts) == ["stem", "stage 1", "stage 2", "stage 3", "stage 4", "head"]
    assert sum(parts.values(), Cost()) == own.cost(resolution=41)


def test_gates_are_written_and_read():
    for text in ("se", "se/r4", "se/bn", "se/r8/bn", "cbam", "bam/r4"):
        assert format_gate(parse_gate(text)) == text
    assert parse_gate("none") is parse_gate("") is None
    assert parse_gate("se/r16") == Gate(kind="se")
    for wrong in ("ca", "se/x", "cbam/bn", "se/r4/r8", "se/r0"):
        with pytest.raises(UserError, match="gate"):
            parse_gate(wrong)


# -- each factor changes the modules it names, and no other

MODULES = {
    "fuse": r"\.sk\.(fc|attend)",
    "reduction": r"\.sk\.(fc\.[01]|attend)$",
    "min_dim": r"\.sk\.(fc\.[01]|attend)$",
    "fuse_norm": r"\.sk\.fc\.1$",
    "gate": r"^stages\.\d\.\d+(\.gate|$|\.)",
    "branches": r"\.sk\.branches\.\d\.\d$",
    "branches none": r"\.sk\.(branches\.\d|fc|attend)",  # one branch alone: nothing is left to select
    "branches more": r"\.sk\.(branches\.\d|attend)",  # attention has rows for each branch
}


def parts(network: nn.Module) -> dict[str, str]:
    leaves = {name: repr(m) for name, m in network.named_modules() if not list(m.children())}
    return {name: text for name, text in leaves.items() if text != "Identity()"}


def allowed(factor: str, level: object) -> str:
    if not factor.startswith("branches"):
        return MODULES[factor]
    more = "more" if factor.startswith("branches.3") else "none" if level == "none" else ""
    return MODULES[f"branches {more}".strip()]


LEVELS = {
    "branches.1": ("k1", "k3d3", "k5", "none"),
    "branches.2": ("none", "k1", "k3", "k3d3", "k5", "k5g64", "k7g128"),
    "branches.3": ("k3d3",),
    "branches.1.groups": (64, 128),
    "branches.2.groups": (64, 128),
    "reduction": (1, 4, 8, 32),
    "min_dim": (1, 16, 64, 128),
    "fuse": ("sum",),
    "fuse_norm": (False,),
    "gate": ("se", "se/r4", "se/bn", "cbam", "bam"),
}


@pytest.mark.parametrize("factor", LEVELS)
def test_a_factor_changes_the_modules_it_names_and_no_other(factor):
    definition = Definition(name="x", baseline="k3+k3d2", one_at_a_time={factor: LEVELS[factor]})
    base, *variants = expand(definition, base_of("k3+k3d2")).variants
    assert len(variants) == len(LEVELS[factor])
    before = parts(built(base.block, base.setting))
    for variant, level in zip(variants, LEVELS[factor], strict=True):
        after = parts(built(variant.block, variant.setting))
        changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
        assert changed, variant.name
        pattern = allowed(factor, level)
        assert all(re.search(pattern, name) for name in changed), (variant.name, sorted(changed))
        if factor == "gate":  # only added: nothing of the network itself is another
            assert before.items() <= after.items()


def test_the_factor_backbone_changes_sizes_and_no_kind_of_module():
    definition = Definition(name="x", baseline="k3+k3d2", one_at_a_time={"backbone": ("16x4d-1111-s2",)})
    base, wider = expand(definition, base_of("k3+k3d2")).variants
    assert (wider.block, wider.setting) == (base.block, Setting(backbone="16x4d-1111-s2"))
    before = built(base.block, base.setting)
    after = built(wider.block, wider.setting, wider.setting.backbone)
    kinds = [{name: type(module) for name, module in each.named_modules()} for each in (before, after)]
    assert kinds[0] == kinds[1]
    assert after.stages[0][0].sk.branches[0][0].groups == 2 * before.stages[0][0].sk.branches[0][0].groups


@pytest.mark.parametrize("name", ["sk-parts", "kernel-cifar", "table6", "table7"])
def test_the_variants_of_a_shipped_study_differ_in_their_sk_convolutions_alone(name):
    design = expand(
        load_definition(name),
        base_of(load_definition(name).baseline) if name in ("sk-parts", "kernel-cifar") else None,
    )
    every = [parts(built(variant.block, variant.setting)) for variant in design.variants]
    for own in every:
        assert {k: v for k, v in own.items() if ".sk." not in k} == {
            k: v for k, v in every[0].items() if ".sk." not in k
        }
    assert sorted(shipped("studies"))  # the names above are among them
    assert name in shipped("studies")


# -- one seed is one block of the design


def spec_of(block: str, setting: Setting, seed: int) -> TrainSpec:
    return TrainSpec(
        block=block,
        net_id=setting.around(block, PROXY).id,
        backbone=PROXY,
        recipe=Recipe(epochs=1, batch_size=64),
        split=Split(dataset="synthetic", train_images=128, val_images=64),
        seed=seed,
        setting=setting,
    )


def test_a_seed_fixes_data_order_and_augmentation_for_all_variants(synthetic_data):
    images, labels, *_ = load_split(synthetic_data, train_images=128, val_images=64, device="cpu")
    seen: dict[tuple[str, int], list[torch.Tensor]] = {}
    for block, setting in (("k3", PLAIN), ("k3+k3d2", Setting(gate="se"))):
        for seed in (0, 1):
            spec = spec_of(block, setting, seed)
            found = train.train_batches(images, labels, batch_size=64, seed=spec.seed, epoch=0, augment=True)
            seen[block, seed] = [batch for batch, _ in found]
    assert all(torch.equal(a, b) for a, b in zip(seen["k3", 0], seen["k3+k3d2", 0], strict=True))
    assert not torch.equal(seen["k3", 0][0], seen["k3", 1][0])


def test_a_seed_fixes_the_initialisation_stream_for_all_variants(monkeypatch):
    whole, states = model.build, []

    def noted(*args, **more):
        states.append(torch.get_rng_state())
        return whole(*args, **more)

    monkeypatch.setattr(model, "build", noted)
    for seed in (0, 1):
        for block, setting in (("k3", PLAIN), ("k3+k3d2", Setting(gate="se"))):
            prepare(spec_of(block, setting, seed), "cpu")
    assert torch.equal(states[0], states[1])
    assert torch.equal(states[2], states[3])
    assert not torch.equal(states[0], states[2])
    # a BatchNorm draws nothing, so that without it every weight that is left is the same
    one, other = (
        prepare(spec_of("k3+k3d2", setting, 0), "cpu")[0].state_dict()
        for setting in (PLAIN, Setting(fuse_norm=False))
    )
    assert all(torch.equal(one[name], tensor) for name, tensor in other.items())


def test_training_needs_nothing_more_for_a_gate_or_without_the_batchnorm():
    for setting in SETTINGS:
        network, optimizer = prepare(spec_of("k3+k3d2", setting, 0), "cpu")
        loss = network(torch.zeros(2, 3, 32, 32)).square().mean()
        loss.backward()
        optimizer.step()
        assert all(p.grad is not None for p in network.parameters())
    assert build("k3+k3d2", PROXY, fuse_norm=False).stages[0][0].sk.fc[1].__class__ is nn.Identity


def test_a_setting_without_its_default_travels():
    spec = spec_of("k3+k3d2", Setting(gate="se"), 3)
    assert replace(spec, setting=Setting(backbone="16x4d-1111")).body.name == "16x4d-1111"
    assert spec.body.name == PROXY
