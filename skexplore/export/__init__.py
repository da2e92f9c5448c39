"""A block that leaves: code, weights, a card, ``block.json``, ONNX, and the check that all of it is what it says.

What is exported runs without skexplore. ``verify`` rebuilds it from ``block.json`` and compares every number
and file.
May import: ``analysis``, ``plan``, ``training``, ``nn``, ``study`` and what is below; the one room with onnx.
Begin with ``export_block``, ``load_block`` and ``verify``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
