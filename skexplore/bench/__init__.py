"""Searches played without a training: how many trainings a sampler needs, and how good the block is that it names.

They are played in landscapes whose true errors are known: an analytic objective, or worlds that agree with a recorded
table of trainings.
May import: ``engine``, ``plan``, ``training``, ``study`` and what is below.
Begin with ``play``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
