"""Which block is trained once more, at the end of a search: fresh seeds of what may be the best.

What was lucky once is chosen by its luck; fresh seeds judge it.
"""

from __future__ import annotations

from skexplore.study import Record, Study

LEADERS = 3  # where too little is known to say what may be best


def next_replicate(study: Study) -> tuple[Record, int] | None:
    """Return the trial that is to be trained again and a seed that it was not trained with; None without any.

    Of the blocks that may be the best (in Pareto mode: of the front) the one with the fewest seeds, running ones
    included, and of these the one with the lowest estimate.
    """
    leaders = _leaders(study)
    if not leaders:
        return None
    seeds: dict[str, set[int]] = {}
    for record in study.records:
        seeds.setdefault(record.net_id, set()).add(record.seed)
    chosen = min(
        leaders, key=lambda record: (len(seeds[record.net_id]), study.estimated(record), record.number)
    )
    first = study.spec.seed
    fresh = next(
        seed for seed in range(first, first + len(study.records) + 1) if seed not in seeds[chosen.net_id]
    )
    return chosen, fresh


def _leaders(study: Study) -> list[Record]:
    if study.spec.mode == "pareto":
        return study.front
    eligible = study.eligible()
    if study.answer is not None:
        return [record for record in eligible if record.block in study.answer.may_be_best]
    return sorted(eligible, key=study.estimated)[:LEADERS]
