"""What searches name, against the truth of the worlds that they are played in: how good it is, and how well they know.

Each search is what its users would run: anchors first, its trainings, the last of them fresh seeds of its leaders.
"""

from __future__ import annotations

import statistics
from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from skexplore.bench.peers import has_smac, play_optuna, play_smac
from skexplore.bench.play import Play, play
from skexplore.bench.recorded import Recorded, World
from skexplore.bench.spread import spread
from skexplore.plan import Request, Training, plan_search
from skexplore.study import PAPER, PLAIN_BLOCK, Study

WORKERS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A way to search.

    sampler: of skexplore; peer: plays another framework's search instead. lowest: what is named is the block of the
    lowest single error, all trainings being of new blocks; else the one of the lowest estimate. most: searches that are
    played at most.
    """

    words: str
    sampler: str = ""
    peer: Callable[..., Play] | None = None
    lowest: bool = False
    most: int | None = None


CONTENDERS = {
    "model": Contender(words="skexplore, --sampler model", sampler="model"),
    "tpe": Contender(words="skexplore, --sampler tpe", sampler="tpe"),
    "random": Contender(words="skexplore, --sampler random", sampler="random"),
    "nsga2": Contender(words="skexplore, --sampler nsga2", sampler="nsga2"),
    "first": Contender(words="skexplore 0.1: tpe, the lowest error", sampler="tpe", lowest=True),
    "optuna": Contender(words="Optuna as it comes", peer=play_optuna, lowest=True),
    # SMAC takes ten seconds for a search of 16 trainings
    "smac": Contender(words="SMAC, over the budget told 100 %", peer=play_smac, lowest=True, most=100),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """On the block that one search named. Errors are fractions.

    better: the share of the blocks within the budget that are truly better. regret: how much better the best of them
    is. beats_paper, beats_plain: whether it is truly better than the paper's block and than plain K3. off: what the
    search showed as its error, less its true error. covered: whether its 90 % interval held that; None without one.
    said: the chance that the search gave it to beat the paper's block. set_held: whether the truly best of what the
    search tried is in its set of what may be best. unseen_beats_both: whether recorded errors of the block and of the
    two anchors that the search did not see say that it is better than both; None without such.
    """

    block: str
    better: float
    regret: float
    beats_paper: bool
    beats_plain: bool
    off: float
    covered: bool | None = None
    said: float | None = None
    set_held: bool | None = None
    unseen_beats_both: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdicts:
    """On the blocks that many searches of one contender named: shares of the searches, 0..1, and means.

    named: searches that trained a block within the budget at all. best_5, best_1: with a block of the best 5 and 1 %.
    covered, intervals: share of the intervals that hold the truth, and how many there are. said, said_and_true: of the
    searches that gave a chance to beat the paper's block their mean chance, and the share that did. set_held, sets: the
    same of sets of what may be best as of intervals. unseen, unseen_beats_both: searches whose block has recorded
    errors that they did not see, and the share of them where these are below those of both anchors.
    """

    name: str
    searches: int
    named: int
    best_5: float
    best_1: float
    beats_paper: float
    beats_plain: float
    regret: float | None
    off: float | None
    covered: float | None
    intervals: int
    said: float | None
    said_and_true: float | None
    set_held: float | None
    sets: int
    unseen_beats_both: float | None
    unseen: int


def playable() -> list[str]:
    """Return the names of the contenders that can be played here."""
    return [name for name in CONTENDERS if name != "smac" or has_smac()]


def judge(
    recorded: Recorded,
    *,
    trials: int,
    replicates: int,
    repeats: int,
    seed: int,
    names: Sequence[str] | None = None,
    processes: int = 1,
    progress: Callable[[str], None] | None = None,
) -> list[Verdicts]:
    """Play ``repeats`` searches of each contender with ``trials`` trainings, each in a world of its own; judge them.

    names: of ``CONTENDERS``, by default all that can be played here. A contender with ``most`` plays in the first
    worlds alone.
    """
    until = {
        name: seed + min(repeats, CONTENDERS[name].most or repeats)
        for name in (playable() if names is None else names)
    }

    def tell(done: int) -> None:
        if progress and (done % 10 == 0 or done == repeats):
            progress(f"{done} of {repeats} worlds")

    worlds = spread(
        partial(_in_world, recorded, until, trials, replicates),
        range(seed, seed + repeats),
        processes=processes,
        progress=tell,
    )
    return [_together(name, [each[name] for each in worlds if name in each]) for name in until]


def _in_world(
    recorded: Recorded, until: Mapping[str, int], trials: int, replicates: int, seed: int
) -> dict[str, Verdict | None]:
    world = recorded.world(seed)
    return {
        name: _judged(world, CONTENDERS[name], trials, replicates)
        for name, end in until.items()
        if seed < end
    }


def _judged(world: World, contender: Contender, trials: int, replicates: int) -> Verdict | None:
    """Return the verdict on one search, None if it trained no block within the budget."""
    if contender.peer is not None:
        lowest = contender.peer(world, world.seed, target=trials).lowest
        return None if lowest is None else _verdict(world, *lowest)
    again = 0 if contender.lowest else replicates
    played = play(
        world,
        contender.sampler,
        world.seed,
        target=trials,
        replicates=again,
        beside=_anchors(world),
        workers=WORKERS,
    )
    assert played.study is not None, "a search of skexplore's own leaves a study"
    if contender.lowest:
        return None if played.lowest is None else _verdict(world, *played.lowest)
    return _of_study(world, played.study)


def _anchors(world: World) -> tuple[Training, ...]:
    """Return what a search trains first, if nothing else is asked for."""
    request = Request(
        space=world.space,
        mode=world.spec.mode,
        budget_gflops=world.spec.budget_gflops,
        budget_params_m=world.spec.budget_params_m,
        budget_activations_m=world.spec.budget_activations_m,
        profile=world.spec.profile,
        seed=world.seed,
    )
    return plan_search(request).beside


def _of_study(world: World, study: Study) -> Verdict | None:
    best = study.best
    if best is None:
        return None
    shown = study.estimates[best.block]
    verdict = _verdict(world, shown.estimate, best.block)
    if shown.low is not None and shown.high is not None:
        verdict = replace(verdict, covered=shown.low <= world.truths[best.block] <= shown.high)
    if study.answer is not None:
        truly = min((record.block for record in study.eligible()), key=world.truths.__getitem__)
        verdict = replace(
            verdict, said=study.answer.best.beats_paper, set_held=truly in study.answer.may_be_best
        )
    ours, *anchors = (
        world.unseen(block, {record.seed for record in study.records if record.block == block})
        for block in (best.block, PAPER, PLAIN_BLOCK)
    )
    if ours and all(anchors):
        better = statistics.fmean(ours) < min(map(statistics.fmean, anchors))
        verdict = replace(verdict, unseen_beats_both=better)
    return verdict


def _verdict(world: World, shown: float, block: str) -> Verdict:
    truth = world.truths[block]
    return Verdict(
        block=block,
        better=bisect_left(world.ranked, truth) / len(world.ranked),
        regret=truth - world.ranked[0],
        beats_paper=truth < world.truths[PAPER],
        beats_plain=truth < world.truths[PLAIN_BLOCK],
        off=shown - truth,
    )


def _together(name: str, verdicts: Sequence[Verdict | None]) -> Verdicts:
    named = [each for each in verdicts if each is not None]
    intervals = [each.covered for each in named if each.covered is not None]
    said = [each for each in named if each.said is not None]
    sets = [each.set_held for each in named if each.set_held is not None]
    unseen = [each.unseen_beats_both for each in named if each.unseen_beats_both is not None]
    return Verdicts(
        name=name,
        searches=len(verdicts),
        named=len(named),
        best_5=sum(each.better < 0.05 for each in named) / len(verdicts),
        best_1=sum(each.better < 0.01 for each in named) / len(verdicts),
        beats_paper=sum(each.beats_paper for each in named) / len(verdicts),
        beats_plain=sum(each.beats_plain for each in named) / len(verdicts),
        regret=_mean([each.regret for each in named]),
        off=_mean([each.off for each in named]),
        covered=_mean(intervals),
        intervals=len(intervals),
        said=_mean([each.said for each in said if each.said is not None]),
        said_and_true=_mean([each.beats_paper for each in said]),
        set_held=_mean(sets),
        sets=len(sets),
        unseen_beats_both=_mean(unseen),
        unseen=len(unseen),
    )


def _mean(values: Sequence[float]) -> float | None:
    return statistics.fmean(values) if values else None
