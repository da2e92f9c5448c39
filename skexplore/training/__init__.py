"""One training from data to outcome: CIFAR found and checked, batches, a plain loop, and worker processes.

A training is a sequence of segments, each a function of its specification and a checkpoint. ``segment`` runs
one, whatever happens to it; ``worker`` is a process that does so for jobs, and ``pool`` keeps such processes on
this machine.
May import: ``nn``, ``study`` and what is below. Nothing here decides what is trained.
Begin with ``TrainSpec`` (of ``study``), ``train_segment`` and ``Pool``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
