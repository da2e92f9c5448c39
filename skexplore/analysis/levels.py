"""What a search believes of the levels of its decisions, over the whole of its space within the budget."""

from __future__ import annotations

import random
from collections import defaultdict
from functools import lru_cache

from skexplore.arch import Trait, traits_of
from skexplore.study import Study
from skexplore.surrogate import Population

MOST = 10_000  # blocks that are looked at: three seconds


def believed_levels(study: Study) -> dict[str, dict[str, float]]:
    """Return the mean of the believed errors, fractions, of all blocks that have a level, by trait and level.

    The blocks are those of the space within the limits, trained or not (of a space that is not written out, some of
    them), so that levels do not differ by what happened to be trained with them. A level is written as text, ``–`` for
    none. Empty where the search gives no answer.
    """
    if study.answer is None or study.model is None:
        return {}
    population = study.model.population
    _, rows = population.pool(0)
    chosen, traits = _looked_at(population, study.spec.decides_body)
    mean, _ = study.model.posterior().predict(rows[chosen])
    errors: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for own, error in zip(traits, mean.tolist(), strict=True):
        for trait, level in own.items():
            errors[trait]["–" if level is None else str(level)].append(error)
    return {
        trait: {level: sum(found) / len(found) for level, found in levels.items()}
        for trait, levels in errors.items()
    }


@lru_cache(maxsize=4)  # a page that is written again and again has the same space
def _looked_at(population: Population, bodies: bool) -> tuple[list[int], list[dict[str, Trait]]]:
    """Return the places in the pool of the blocks that are looked at, at most ``MOST``, and their traits."""
    pool, _ = population.pool(0)
    chosen = sorted(random.Random(0).sample(range(len(pool)), min(MOST, len(pool))))
    candidates = population.candidates
    found = (candidates.network(pool[at]) for at in chosen)
    return chosen, [traits_of(own.blocks, own.backbone, bodies=bodies) for own in found]
