from .ablation import (
    NEARLY_EQUAL as NEARLY_EQUAL,
    Effects as Effects,
    ablation_findings as ablation_findings,
    course_table as course_table,
    design_of as design_of,
    effects as effects,
    effects_table as effects_table,
    layout as layout,
    measured as measured,
    records_of as records_of,
    same_networks as same_networks,
    statements as statements,
)
from .answer import (
    answer_words as answer_words,
    trust as trust,
)
from .checklist_search import (
    checklist as checklist,
)
from .confirmation import (
    confirmation_table as confirmation_table,
    confirms as confirms,
    finalists_words as finalists_words,
    is_confirmation as is_confirmation,
)
from .course import (
    incumbent as incumbent,
)
from .dunnett import (
    DRAWS as DRAWS,
    MOST_SEEDS as MOST_SEEDS,
    POWER as POWER,
)
from .findings import (
    counters as counters,
    notes as notes,
    search_findings as search_findings,
)
from .fits import (
    FitsFound as FitsFound,
    compare_fits as compare_fits,
    fit_curves_table as fit_curves_table,
    fits_findings as fits_findings,
    fits_table as fits_table,
    in_print as in_print,
    part_words as part_words,
)
from .importance import (
    Importances as Importances,
    importances as importances,
)
from .levels import (
    believed_levels as believed_levels,
)
from .noise import (
    may_be_best as may_be_best,
    study_noise as study_noise,
)
from .pareto import (
    knee as knee,
)
from .reliability import (
    Signal as Signal,
    check_panel as check_panel,
    signal as signal,
    signal_findings as signal_findings,
    signal_words as signal_words,
    tells as tells,
)
from .repeats import (
    QUARTILES as QUARTILES,
    Compared as Compared,
    Group as Group,
    Pair as Pair,
    compare as compare,
    finite as finite,
    repeats_table as repeats_table,
    spread as spread,
)
from .tables import (
    anchor_table as anchor_table,
    anchors_table as anchors_table,
    curves_table as curves_table,
    nearest_row as nearest_row,
    pareto_table as pareto_table,
    placed_table as placed_table,
    placement_table as placement_table,
    places as places,
    published_table as published_table,
    timeline_table as timeline_table,
    trained_keys as trained_keys,
)
