"""Searches with made-up errors, alike but for their seeds: repeats to be compared."""

from __future__ import annotations

from dataclasses import replace

from support.studies import SPEC, only

EPOCH = SPEC.split.train_images
# within 4.5 GFLOPs at the reference
BLOCKS = ("k1", "k3g64", "k3+k3d2/sum", "k3+k3", "k3d2", "k1+k3g64", "k1+k3/r8", "k3+k3d3/r32", "k1+k3d3")


def searched(name, *errors, sampler="tpe", seed=0, blocks=BLOCKS, **spec):
    """Return a search whose trials, of six epochs each, had these errors; None stands for a failure."""
    rows = [
        (block, "failed" if error is None else "complete", error, 6)
        for block, error in zip(blocks, errors, strict=False)
    ]
    study = only(*rows, name=name, target=len(rows), state="finished")
    return replace(study, spec=replace(study.spec, sampler=sampler, seed=seed, **spec))


TPE = [
    searched("tpe-s0", 0.50, 0.44, 0.40),
    searched("tpe-s1", 0.48, 0.46, 0.42, seed=1),
    searched("tpe-s2", 0.52, 0.45, 0.38, seed=2),
]
RANDOM = [
    searched("random-s0", 0.50, 0.47, 0.45, sampler="random"),
    searched("random-s1", 0.48, 0.49, 0.44, 0.36, sampler="random", seed=1),
]


def changed(**changes):
    """Return the second search of ``TPE`` with changes of its specification."""
    return replace(TPE[1], spec=replace(TPE[1].spec, **changes))
