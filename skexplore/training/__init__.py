"""One training from arrays to outcome: batches, a plain loop, and worker processes.

``batches`` splits, augments and normalises the images of a data set. A training is a sequence of segments, each a
function of its specification and a checkpoint: ``loop`` trains one, ``segment`` reports how it ended, whatever happens
to it, and ``weights`` keeps what it learned. ``worker`` is a process that does so for jobs (``messages``), a ``child``
of a ``pool`` on this machine. ``throughput`` measures images per second, ``benchmark`` where the time of a training
goes.
May import: ``nn``, ``study``, ``arch`` and what is below. Nothing here decides what is trained.
Begin with ``TrainSpec`` (of ``study``), ``train_segment`` and ``Pool``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
