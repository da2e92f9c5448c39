"""Networks in torch: the SK convolution and unit (paper, section 3), other attention modules, whole networks.

What ``arch`` describes as data is built here, counted again by fvcore, summarised layer by layer, and timed
against its peers. ``fast`` holds exact rewrites of what a CPU library runs slowly.
May import: ``paper``, ``arch`` and what is below.
Begin with ``SKConv``, ``SKUnit`` and ``build``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
