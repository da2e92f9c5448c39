from .ablation import (
    ablation_picture as ablation_picture,
)
from .comparison import (
    comparison_findings as comparison_findings,
    comparison_picture as comparison_picture,
    write_comparison as write_comparison,
)
from .figures.files import (
    can_draw as can_draw,
)
from .fits import (
    fits_picture as fits_picture,
    write_fit_report as write_fit_report,
)
from .overview import (
    write_overview as write_overview,
)
from .paper import (
    figure_2 as figure_2,
    figure_2_picture as figure_2_picture,
)
from .plots import (
    search_picture as search_picture,
)
from .search import (
    write_report as write_report,
)
