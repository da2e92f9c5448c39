"""What a search believes of the levels of its decisions, all else being as it is in the whole of its space."""

from __future__ import annotations

from collections import defaultdict

from skexplore.arch import traits_of
from skexplore.study import Study, stored_space


def believed_levels(study: Study) -> dict[str, dict[str, float]]:
    """Return the mean of the believed errors, fractions, of all blocks that have a level, by trait and level.

    The blocks are those of the space within the limits, trained or not (of a space that is not written out, some of
    them), so that levels do not differ by what happened to be trained with them. A level is written as text, ``–`` for
    none. Empty where the search gives no answer.
    """
    if study.answer is None or study.model is None:
        return {}
    space, candidates = stored_space(study.spec), study.model.population.candidates
    pool, rows = study.model.population.pool(0)
    mean, _ = study.model.posterior().predict(rows)
    errors: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for forms, error in zip(pool, mean.tolist(), strict=True):
        for trait, level in traits_of(space.decode(candidates.levels(forms))).items():
            errors[trait]["–" if level is None else str(level)].append(error)
    return {
        trait: {level: sum(found) / len(found) for level, found in levels.items()}
        for trait, levels in errors.items()
    }
