"""Trainings told to experiment trackers, where a user asks for one: the one door to each of them, all extras.

``trackers`` has an entry for each and keeps it local unless its own settings say otherwise; ``following`` tells it what
a study does. A tracker that fails is said once and left: no training waits for it.
May import: ``engine``, ``study`` and what is below.
Begin with ``Tracker`` and ``TRACKERS``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
