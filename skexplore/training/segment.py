"""One job in, one outcome out: what a worker does with a training, whatever happens to it.

Reads the arrays of the data set, trains to the end of the segment, keeps the weights of a finished training, and
measures it on the test set if the job asks for that.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import torch
from torch import nn

from skexplore.study import Epoch, Split, pack
from skexplore.training.batches import load_split, load_test
from skexplore.training.loop import Data, DivergedError, answered_right, out_of_memory, train_segment
from skexplore.training.messages import Job, Outcome, weights_file
from skexplore.training.weights import save_weights


@lru_cache(maxsize=1)  # a worker trains many networks on one split
def _data(folder: str, split: Split, device: str) -> Data:
    images, labels, val_images, val_labels = load_split(
        Path(folder),
        train_images=split.train_images,
        val_images=split.val_images,
        device=torch.device(device),
        own_val=bool(split.content.val),
    )
    return Data(
        images=images, labels=labels, val_images=val_images, val_labels=val_labels, content=split.content
    )


def run_job(job: Job, device: str, on_epoch: Callable[[Epoch], bool]) -> Outcome:
    """Train ``job`` on ``device`` and return its outcome; ``complete`` says that it came to ``job.until``.

    Its checkpoint is on disk by then. The last segment of a training leaves the weights in the study's folder
    too. Raises ``OSError`` for a write that the system refused and ``UserError`` for data that cannot be read:
    no trial could do better.
    """
    spec = job.spec
    data = _data(job.data_folder, spec.split, device)  # trouble with the data is not this architecture's
    try:
        network, curve = train_segment(
            spec, data, checkpoint=job.checkpoint, until=job.until, on_epoch=on_epoch
        )
    except DivergedError as error:
        return Outcome(key=spec.key, status="diverged", curve=error.curve, reason=str(error))
    except OSError:
        raise  # nor is the machine's
    except Exception as error:  # any other failure is this trial's own, and the search goes on
        return Outcome(key=spec.key, status="failed", reason=_reason(error))
    if len(curve) < job.until:
        return Outcome(key=spec.key, status="paused", curve=curve)
    done = Outcome(key=spec.key, status="complete", curve=curve)
    if len(curve) < spec.recipe.epochs:
        return done
    digest = save_weights(weights_file(Path(job.study_folder), spec.key), network.state_dict())
    done = replace(done, weights_sha256=digest)
    return _tested(done, network, job, device) if job.test else done


def _tested(done: Outcome, network: nn.Module, job: Job, device: str) -> Outcome:
    """Return ``done`` with what it gets wrong of the test set, which is opened here and nowhere else."""
    images, labels = load_test(Path(job.data_folder), device)
    try:
        right = answered_right(network, images, labels, job.spec.split.content).cpu().numpy()
    except Exception as problem:
        return Outcome(key=done.key, status="failed", reason=_reason(problem))
    wrong = len(right) - int(right.sum())
    return replace(done, test_error=wrong / len(right), test_right=pack(right))


def _reason(error: Exception) -> str:
    first = (str(error).splitlines() or [""])[0]
    return f"{'out of memory: ' if out_of_memory(error) else ''}{type(error).__name__}: {first}"[:300]
