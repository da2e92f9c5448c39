"""What is said of trainings of whole networks: made here, with known errors."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.fits import RECIPE, six, training

from skexplore.analysis import compare_fits, fit_curves_table, fits_findings, fits_table, in_print
from skexplore.data import DATASETS
from skexplore.errors import UserError


def test_networks_are_variants_and_seeds_replicates():
    found = compare_fits(six())
    assert (found.part, found.baseline) == ("test", "k3+k3d2 in sknet29")  # the paper's block
    means = {each.name: (each.n, each.mean) for each in found.summary.variants}
    assert means == {
        "k3 in sknet29": (3, pytest.approx(0.21)),
        "k3+k3d2 in sknet29": (3, pytest.approx(0.16)),
    }
    (gap,) = found.summary.differences
    assert (gap.name, gap.difference) == ("k3 in sknet29", pytest.approx(0.05))
    assert (gap.low < 0.05 < gap.high, gap.distinguishable) == (True, True)
    findings = fits_findings(found)
    assert findings["networks"][0]["to_baseline"]["difference"] == pytest.approx(0.05)
    said = "k3 in sknet29: 5.00 points higher than k3+k3d2 in sknet29 (95 % "
    assert any(each.startswith(said) for each in findings["statements"])
    about = "Dunnett's test, n = 3); they are over seeds, given these training and test images"
    assert any(about in each for each in findings["statements"])


def test_without_all_test_errors_validation_decides():
    fits = six()
    fits[0] = training("k3", 0, 0.2)
    assert compare_fits(fits).part == "val"


def test_one_seed_claims_nothing():
    found = compare_fits([training("k3", 0, 0.2), training("k3+k3d2", 0, 0.1)])
    assert (
        "One seed: numbers, no claims. Train each network with two seeds or more."
        in fits_findings(found)["statements"]
    )


def test_an_unfinished_training_is_named_and_not_counted():
    found = compare_fits([*six()[:5], training("k3+k3d2", 2, None)])
    assert found.summary.n == 2
    findings = fits_findings(found)
    assert findings["statements"][0] == "k3+k3d2-s2 is not finished (epoch 1 of 2)."
    assert findings["state"] == "not finished"
    row = fits_table(found).iloc[-1]
    assert row["state"] == "epoch 1 of 2"
    assert len(fit_curves_table(found)) == 11


def test_nothing_is_said_before_a_training_is_finished():
    found = compare_fits([training("k3", 0, None)])
    assert fits_findings(found)["statements"][-1] == "No training is finished yet."


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"recipe": replace(RECIPE, lr=0.5)}, r"lr 0.1 here, 0.5 there"),
        ({"resolution": 64}, r"resolution 32 here, 64 there"),
        ({"init": "a" * 64}, r"init none here, a{64} there"),
        ({"accumulate": 4}, r"accumulate 1 here, 4 there"),
        ({"data": "cifar100"}, r"images of cifar10 here, of cifar100 there"),
    ],
)
def test_what_cannot_be_compared_is_refused(other, said):
    with pytest.raises(UserError, match=said):
        compare_fits([training("k3", 0, 0.2), training("k3", 1, 0.2, **other)])


def test_the_same_training_twice_is_refused():
    with pytest.raises(UserError, match="are both k3 in sknet29 with seed 0"):
        compare_fits([training("k3", 0, 0.2), training("k3", 0, 0.3)])


def test_table_5_is_beside_cifar_and_the_same_network_is_marked():
    rows = {row.system: row for row in in_print(compare_fits([*six(), training("k3+k1/r32", 0, 0.1)]))}
    assert rows["ResNeXt-29, 16x32d"].error_pct == "3.87"  # Table 5
    assert rows["ResNeXt-29, 16x32d"].same == ("k3 in sknet29",)
    assert rows["SKNet-29"].same == ("k3+k1/r32 in sknet29",)
    assert rows["SKNet-29"].error_pct == "3.47"
    assert rows["ResNeXt-29, 8x64d"].same == ()
    hundred = in_print(compare_fits([training("k3", 0, 0.2, data="cifar100")]))
    assert next(row.error_pct for row in hundred if row.system == "SKNet-29") == "17.33"


def test_table_2_is_beside_images_of_imagenets_size_and_nothing_beside_others():
    content = replace(DATASETS["cifar10"].content, name="imagenet", classes=1000, digest="a" * 64)
    spec = {"content": content, "resolution": 224, "backbone": "sknet50"}
    rows = {row.system: row for row in in_print(compare_fits([training("k3+k3d2", 0, 0.2, **spec)]))}
    assert (rows["SKNet-50"].error_pct, rows["SKNet-50"].error_320_pct) == ("20.79", "19.32")
    assert rows["SKNet-50"].same == ("k3+k3d2 in sknet50",)
    few = {"content": replace(content, classes=3), "resolution": 224, "backbone": "sknet50"}
    assert in_print(compare_fits([training("k3+k3d2", 0, 0.2, **few)])) == []


def test_seeds_that_are_not_shared_compare_nothing_and_it_is_said():
    fits = [training("k3", seed, 0.2) for seed in (0, 1)] + [
        training("k3+k3d2", seed, 0.1) for seed in (2, 3)
    ]
    said = fits_findings(compare_fits(fits))["statements"]
    assert "No seed is complete: means are over different seeds, and nothing is compared." in said
    assert "Nothing is claimed. Train each network with the same two seeds or more." in said
    assert not any("Dunnett" in each or "One seed" in each for each in said)


def test_one_network_has_no_difference_and_no_test_of_one():
    said = fits_findings(compare_fits([training("k3", seed, 0.2 + seed / 100) for seed in range(3)]))[
        "statements"
    ]
    assert not any("Dunnett" in each for each in said)


def test_a_network_of_the_paper_is_the_same_one_in_notation():
    system = training("", 1, 0.21, system="sknet29")
    found = compare_fits([training("k3+k1/r32", 0, 0.2), system])
    assert [each.name for each in found.summary.variants] == ["k3+k1/r32 in sknet29"]
    assert found.summary.n == 2
    assert set(fits_table(found)["network"]) == {"k3+k1/r32 in sknet29"}
    papers = compare_fits(
        [training("k3", 0, 0.2, backbone="sknet50"), training("", 0, 0.2, system="sknet50")]
    )
    assert papers.baseline == "sknet50"


def test_machines_that_differ_are_named():
    other = training("k3", 1, 0.2)
    environment = {"cpu": "x", "gpu": "H200", "workers": "1 x cuda"}
    moved = replace(other, metrics=replace(other.metrics, environment=environment))
    said = fits_findings(compare_fits([training("k3", 0, 0.2), moved]))["statements"]
    assert "Not all on one kind of machine: cpu x; workers 1 x cuda, gpu H200, cpu x." in said


def test_an_interval_holds_errors_alone():
    found = compare_fits([training("k3", 0, 0.1), training("k3", 1, 0.6)])
    (network,) = fits_findings(found)["networks"]
    assert (network["low"], network["high"]) == (0.0, 1.0)  # of two trainings far apart
