"""The committed studies and reports: every number is recomputed from the records."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import statistics
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from skexplore.analysis.noise import noise
from skexplore.analysis.reliability import signal
from skexplore.analysis.repeats import compare
from skexplore.arch.costs import arch_id, cost, net_id
from skexplore.arch.notation import parse_block
from skexplore.plan.ablation import AblationRequest, plan_ablation
from skexplore.report.comparison import write_comparison
from skexplore.report.overview import write_overview
from skexplore.report.search import write_report
from skexplore.space.space import Space
from skexplore.study.priors import PRIORS, prior_of
from skexplore.study.store import load_study
from skexplore.study.study import cells, trained
from skexplore.surrogate.prior import Prior

ROOT = Path(__file__).parent.parent
ALL = sorted(path.parent for path in ROOT.glob("studies/*/records.jsonl"))
ABLATIONS = [path for path in ALL if load_study(str(path)).spec.ablation is not None]
ARCHIVES = [path for path in ALL if path not in ABLATIONS]
SIGNALS = sorted(
    path.parent for path in ROOT.glob("studies/signal/*/records.jsonl")
)  # panels of what was tried
# pieces in which the long panel was trained; nothing is quoted from them
PARTS = sorted(path.parent for path in ROOT.glob("studies/*/parts/*/records.jsonl"))
# ablations as version 0.1 made them, where docs compare with them
EARLIER = sorted(path.parent for path in ROOT.glob("studies/earlier/*/records.jsonl"))
REPEATS = sorted(
    path.parent for path in ROOT.glob("studies/*/*/records.jsonl") if path.parent not in SIGNALS + EARLIER
)  # searches compared in a set
SETS = sorted({path.parent for path in REPEATS})
LONG = ROOT / "studies/signal/panel-long-even"  # six blocks trained long, by which nothing was chosen
LONG_ALL = ROOT / "studies/signal/panel-long-both"  # and all twelve
NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e-?\d+)?")
DATA = ("trials.csv", "pareto.csv", "placement.csv", "findings.json", "report.md")


def stands_in(report, number):
    return re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", report)


def assert_alike(written, committed):
    """Fail unless files that hold statistics are as committed: integrals differ in their last bits between CPUs."""
    for path in written:
        text, expected = path.read_text(), (committed / path.name).read_text()
        if path.suffix in (".csv", ".json"):
            assert NUMBER.sub("#", text) == NUMBER.sub("#", expected), path.name
            numbers = [float(number) for number in NUMBER.findall(text)]
            assert numbers == pytest.approx([float(number) for number in NUMBER.findall(expected)], rel=1e-9)
        elif path.suffix != ".html":
            assert text == expected, path.name


def test_there_is_evidence():
    assert "first-search" in [path.name for path in ARCHIVES]


@pytest.mark.parametrize("folder", ARCHIVES + REPEATS, ids=lambda path: path.name)
def test_costs_and_identities_of_the_records_are_recomputed(folder):
    study = load_study(str(folder))
    assert trained(study.records) == study.target
    for record in study.records:
        reference, proxy = cost(record.block, study.spec.reference), cost(record.block, study.spec.body)
        assert (record.ref_macs, record.ref_params) == (reference.macs, reference.params)
        assert (record.proxy_macs, record.proxy_params) == (proxy.macs, proxy.params)
        assert record.arch_id == arch_id(record.block, study.spec.reference_body)
        assert record.net_id == net_id(record.block, study.spec.body)
        if record.origin == "search" and record.images:
            assert study.spec.within(record)
        if record.curve:
            assert record.val_error == record.curve[-1].val_error
    decisions = {path: tuple(levels) for path, levels in study.spec.space_decisions.items()}
    space = Space(
        name="archived",
        description="",
        base=parse_block(study.spec.space_base),
        decisions=decisions,
        reference=study.spec.reference_body,
    )
    assert space.hash == study.spec.space_hash
    keys = [record.key for record in study.records if record.images]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("folder", ARCHIVES, ids=lambda path: path.name)
def test_the_committed_report_is_what_the_records_give(folder, tmp_path):
    found = json.loads((ROOT / "reports" / folder.name / "findings.json").read_text())
    beside = [
        load_study(str(ROOT / "studies" / each["study"]))
        for each in [*found["beside"], *found["confirmations"]]
    ]
    write_report(load_study(str(folder)), tmp_path / "report", beside)
    assert_alike([tmp_path / "report" / name for name in DATA], ROOT / "reports" / folder.name)


def test_the_readmes_figures_are_in_the_report():
    """The README quotes the front of the committed search: each of its table rows is a row of report.md's."""
    report = (ROOT / "reports/first-search/report.md").read_text()
    text = (ROOT / "README.md").read_text()
    quoted = text[text.index("<!-- front -->") : text.index("<!-- /front -->")]
    rows = [line for line in quoted.splitlines() if line.startswith("| ") and "`" in line]
    assert rows
    for row in rows:
        block, error, interval, gflops, params, _ = (cell.strip() for cell in row.split("|")[1:7])
        figures = [block, error.removesuffix(" %"), interval, gflops, params.removesuffix(" M")]
        assert any(all(figure in line for figure in figures) for line in report.splitlines()), row


@pytest.mark.parametrize("page", ["README.md", "docs/searching.md", "docs/ablations.md"])
def test_every_percentage_of_the_readme_and_of_pages_is_in_a_report(page):
    reports = "".join(path.read_text() for path in sorted(ROOT.glob("reports/*/*.md")))
    numbers = re.findall(r"\d+\.\d\d(?= (?:%|points|to \d))", (ROOT / page).read_text().replace("\n", " "))
    assert numbers
    assert not [number for number in numbers if not stands_in(reports, number)]


@pytest.mark.parametrize(
    "folder", ABLATIONS + SIGNALS + EARLIER, ids=lambda path: f"{path.parent.name}-{path.name}"
)
def test_costs_identities_and_cells_of_an_ablation_are_recomputed(folder):
    study = load_study(str(folder))
    design, found = study.spec.ablation, cells(study.spec, study.records)
    assert len(found) == design.trainings
    assert len(study.records) == len({record.key for record in study.records})
    for variant in design.variants:
        there, here = variant.architecture.cost(), study.spec.trained_for(variant).cost()
        for seed in range(study.spec.seed, study.spec.seed + design.seeds):
            record = found[variant.name, seed]
            assert (record.ref_macs, record.ref_params) == (there.macs, there.params)
            assert (record.proxy_macs, record.proxy_params) == (here.macs, here.params)
            assert record.status == "complete"
            assert record.val_error == record.curve[-1].val_error
            assert len(record.curve) == study.spec.recipe.epochs
            assert (record.test_error is not None) == design.test


def test_what_was_taken_over_is_in_the_study_that_is_named():
    taken = [r for folder in ABLATIONS + SIGNALS for r in load_study(str(folder)).records if r.replay_of]
    assert taken
    folders = {path.name: path for path in ABLATIONS + SIGNALS + PARTS}
    for record in taken:
        number, name = re.fullmatch(r"measured as training (\d+) of (\S+)", record.reason).groups()
        source = load_study(str(folders[name])).anchors[int(number)]
        assert (source.key, source.val_error, source.curve) == (record.key, record.val_error, record.curve)


@pytest.mark.parametrize("folder", ABLATIONS, ids=lambda path: path.name)
def test_the_committed_report_of_an_ablation_is_what_the_records_give(folder, tmp_path):
    assert_alike(write_report(load_study(str(folder)), tmp_path / "report"), ROOT / "reports" / folder.name)


@pytest.mark.parametrize("folder", SETS, ids=lambda path: path.name)
def test_the_committed_comparison_is_what_the_records_give(folder, tmp_path):
    committed = ROOT / "reports" / folder.name
    given = json.loads((committed / "findings.json").read_text())["repeats"]
    assert sorted(row["study"] for row in given) == sorted(
        path.name for path in REPEATS if path.parent == folder
    )
    found = compare([load_study(str(folder / row["study"])) for row in given])
    assert_alike(write_comparison(found, tmp_path / "report"), committed)


@pytest.mark.parametrize("folder", ABLATIONS + SETS, ids=lambda path: path.name)
def test_what_a_studys_readme_quotes_is_in_its_report(folder):
    """Every percentage and difference in points of the README in its folder stands in the report."""
    readme = (folder / "README.md").read_text()
    (written,) = (ROOT / "reports" / folder.name).glob("*.md")
    numbers = re.findall(r"\d+\.\d\d(?= (?:%|points))", readme.replace("\n", " "))
    assert numbers
    assert not [number for number in numbers if not stands_in(written.read_text(), number)]


@pytest.mark.parametrize("folder", EARLIER, ids=lambda path: path.name)
def test_what_is_quoted_of_an_earlier_study_is_in_the_report_of_its_records(folder, tmp_path):
    write_report(load_study(str(folder)), tmp_path)
    text = (folder / "README.md").read_text().replace("\n", " ")
    numbers = re.findall(r"\d+\.\d\d(?= (?:%|points))", text)
    assert numbers
    assert not [number for number in numbers if not stands_in((tmp_path / "report.md").read_text(), number)]


@pytest.mark.parametrize(("key", "prior"), PRIORS.items(), ids=str)
def test_what_is_known_of_noise_is_what_its_archive_says(key, prior):
    study = load_study(str(ROOT / prior.source))
    assert key == (study.spec.recipe.id, study.spec.split.id, study.spec.backbone)
    errors = itertools.groupby(sorted(study.records, key=lambda r: r.net_id), key=lambda r: r.net_id)
    found = noise([[record.val_error for record in group] for _, group in errors])
    assert (prior.df, prior.sd) == (found.df, pytest.approx(found.sd, abs=5e-6))
    assert prior_of(study.spec) is None  # it is not counted twice
    assert prior_of(replace(study.spec, name="another")) == prior


@pytest.mark.parametrize("file", sorted(ROOT.glob("studies/signal/*.yaml")), ids=lambda path: path.stem)
def test_a_panel_is_trained_again_by_its_file(file):
    archive = load_study(str(file.with_suffix("")))
    found = plan_ablation(AblationRequest(source=str(file))).spec
    for name in ("name", "profile", "backbone", "split", "ablation"):
        assert getattr(found, name) == getattr(archive.spec, name), name
    assert found.recipe.id == archive.spec.recipe.id


def test_what_docs_say_of_unequal_noise():
    """The levels of the verdicts, were the blocks of the panel as unequal as three seeds happen to show them."""
    records = sorted(load_study(str(ROOT / "studies/signal/panel-quick")).records, key=lambda r: r.net_id)
    groups = [[r.val_error for r in group] for _, group in itertools.groupby(records, key=lambda r: r.net_id)]
    assert stats.bartlett(*groups).pvalue > 0.05
    variances, draw, studies = np.var(groups, axis=1, ddof=1), np.random.default_rng(0), 10_000
    errors = np.sqrt(variances) * draw.standard_normal((studies, 12))
    sd = np.sqrt((variances * draw.chisquare(2, (studies, 12))).sum(1) / 24)
    found = noise([], prior=Prior(sd=1.0, df=24, source="synthetic"), compared=12)
    pairs = itertools.combinations(errors.T, 2)
    two = np.mean([np.mean(abs(a - b) >= found.least_difference * sd) for a, b in pairs])
    best = np.mean(errors - errors.min(1, keepdims=True) >= (found.from_best * sd)[:, None])
    said = " ".join((ROOT / "docs/proxy-and-recipe.md").read_text().split())
    assert f"told apart wrongly in {100 * two:.0f} % of studies" in said
    assert f"be called worse in {100 * best:.0f} %" in said


def test_what_docs_say_of_recipes_is_in_their_archives():
    """Each row of the table of what was tried is recomputed: mean, sd between blocks, seed sd, reliability."""
    text = (ROOT / "docs/proxy-and-recipe.md").read_text()
    section = text[text.index("## What was tried") : text.index("## How true it is")]
    rows = dict(re.findall(r"^\| `(\S+)` \| (.*) \|$", section, re.MULTILINE))
    assert sorted(rows) == [path.name for path in SIGNALS]
    for folder in SIGNALS:
        study = load_study(str(folder))
        own = signal(study).reliability
        plain = [record.val_error for record in study.records if record.block == "k3"]
        low, high = own.icc.low, own.icc.high
        said = [
            f"{100 * own.mean:.2f}",
            f"{100 * own.between_sd:.2f}",
            f"{100 * own.sd.value:.2f}",
            f"{own.icc.value:.2f} [{low:.2f}, {high:.2f}]",
            f"{100 * statistics.mean(plain):.2f}" if plain else "-",
        ]
        assert [cell.strip() for cell in rows[folder.name].split("|")][2:] == said, folder.name


@pytest.mark.parametrize(
    ("begin", "end", "long", "names"),
    [
        ("## How true it is", "### Over all twelve", LONG, {"panel", "tried-sgd-even", "tried-muon-even"}),
        ("### Over all twelve", "## The noise that is shipped", LONG_ALL, {"panel", "panel-quick"}),
    ],
)
def test_what_docs_say_of_validity_is_in_their_archives(begin, end, long, names):
    """Each row: correlation and tau of one training with one long one, and of the good blocks; and the ceiling."""
    text = (ROOT / "docs/proxy-and-recipe.md").read_text()
    section = text[text.index(begin) : text.index(end)]
    rows = dict(re.findall(r"^\| `(\S+)` \| (.*) \|$", section, re.MULTILINE))
    assert {*rows} == names
    long = load_study(str(long))
    for name, row in rows.items():
        found = signal(load_study(str(ROOT / "studies/signal" / name)), long)
        whole, good = found.whole, found.good
        low, high = whole.correlation.low, whole.correlation.high
        said = [
            f"{whole.correlation.value:.2f} [{low:.2f}, {high:.2f}]",
            f"{whole.tau:.2f}",
            f"{whole.correlation.value / whole.long:.2f}",
            f"{good.correlation.value:.2f}",
            f"{good.tau:.2f}",
        ]
        assert [cell.strip() for cell in row.split("|")][1:] == said, name
    words = " ".join(section.split())
    assert f"a correlation of {whole.long:.2f} and a tau of {whole.long_tau:.2f}" in words


def test_what_docs_say_of_the_paper_s_block_beside_k3_is_in_the_archives():
    words = " ".join((ROOT / "docs/proxy-and-recipe.md").read_text().split())
    leads = []
    for name in ("panel", "panel-long-both", "panel-quick"):
        records = load_study(str(ROOT / "studies/signal" / name)).records
        plain, paper = (
            statistics.mean(record.val_error for record in records if record.block == block)
            for block in ("k3", "k3+k3d2")
        )
        leads.append(100 * (plain - paper))
    old, long, new = leads
    said = f"{-old:.2f} points worse than `k3`, by long ones {long:.2f} points better, by `quick` {new:.2f}."
    assert said in words


def test_the_new_recipe_orders_blocks_no_worse_than_plain_sgd_at_equal_images():
    """Fairness: plain SGD, by which the long reference was trained, is not favoured by it."""
    long = load_study(str(LONG))
    new, sgd = (
        signal(load_study(str(ROOT / "studies/signal" / name)), long).whole
        for name in ("tried-muon-even", "tried-sgd-even")
    )
    assert new.blocks == sgd.blocks == 6
    assert new.tau >= sgd.tau
    assert new.correlation.value >= sgd.correlation.value


def test_what_docs_say_of_conclusions_is_in_reports_then_and_now(tmp_path):
    """Each row's figures: those of version 0.1 in the reports of its records, those of now in the committed ones."""
    text = (ROOT / "docs/proxy-and-recipe.md").read_text()
    section = text[text.index("## What changed in the conclusions") : text.index("## What did not pay")]
    then, now = (
        "",
        "".join(
            (ROOT / "reports" / name / "report.md").read_text()
            for name in ("table3", "table6", "table7", "fidelity")
        ),
    )
    for folder in EARLIER:
        write_report(load_study(str(folder)), tmp_path / folder.name)
        then += (tmp_path / folder.name / "report.md").read_text()
    rows = [line.split("|")[1:] for line in section.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 7
    for _, before, after, *_ in rows:
        for cell, report in ((before, then), (after, now)):
            assert not [each for each in re.findall(r"\d+\.\d\d", cell) if not stands_in(report, each)]


def test_the_overview_of_reports_is_what_they_say(tmp_path):
    copied = shutil.copytree(ROOT / "reports", tmp_path / "reports")
    assert write_overview(copied).read_bytes() == (ROOT / "reports/index.html").read_bytes()


def test_nothing_is_reported_or_quoted_of_a_piece_of_a_study():
    told = "".join(path.read_text() for path in (ROOT / "README.md", *ROOT.glob("docs/*.md")))
    assert PARTS
    whole = {path.name for path in ABLATIONS}  # of which a piece may have the name
    for folder in PARTS:
        assert folder.name in whole or not [*ROOT.glob(f"reports/**/{folder.name}")]
        assert f"parts/{folder.name}" not in told


def test_what_is_said_of_measured_latencies_is_in_their_record():
    found = json.loads((ROOT / "reports/bench/latency.json").read_text())
    text = " ".join((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split())
    alone, beside = found["spread_alone"], found["spread_beside"]
    assert f"is {100 * alone:.1f} % alone and {100 * beside:.1f} % beside two trainings" in text
    assert (
        f"{100 * found['shift']:.1f} % slower on the average, {100 * found['largest_shift']:.1f} % at most"
        in text
    )
    said = " ".join((ROOT / "docs/commands.md").read_text(encoding="utf-8").split())
    assert f"deviation of {100 * beside:.1f} %, and alone of {100 * alone:.1f} %" in said
