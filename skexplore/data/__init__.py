"""The images that are trained on: what each data set holds, its files found or fetched, checked, and cached as arrays.

``datasets`` describes the data sets that are known by name, ``releases`` reads their published files, ``cache`` keeps
their arrays and checks them whenever they are used. ``sources`` finds a user's own images, ``own`` decodes and keeps
them. ``split`` says which images are trained on.
May import: ``files``, ``errors`` and ``words``. No torch: arrays are NumPy's.
Begin with ``get_dataset`` and ``prepare_data``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
