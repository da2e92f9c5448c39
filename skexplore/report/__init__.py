"""What a study leaves to look at: one HTML page that needs no network, Markdown, CSV and findings as JSON.

``search``, ``ablation`` and ``comparison`` write the three kinds of report; ``figures`` turns tables into
plotly figures; ``sections`` finds the parts of a page, one file each in ``templates``.
May import: ``analysis``, ``study`` and what is below; the one room with plotly.
Begin with ``write_report`` (of a search, an ablation or a confirmation) and ``write_comparison``.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
