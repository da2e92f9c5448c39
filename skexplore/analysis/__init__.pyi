from .ablation import (
    NEARLY_EQUAL as NEARLY_EQUAL,
)
from .ablation import (
    Effects as Effects,
)
from .ablation import (
    ablation_findings as ablation_findings,
)
from .ablation import (
    course_table as course_table,
)
from .ablation import (
    design_of as design_of,
)
from .ablation import (
    effects as effects,
)
from .ablation import (
    effects_table as effects_table,
)
from .ablation import (
    layout as layout,
)
from .ablation import (
    measured as measured,
)
from .ablation import (
    records_of as records_of,
)
from .ablation import (
    same_networks as same_networks,
)
from .ablation import (
    statements as statements,
)
from .checklist_search import (
    checklist as checklist,
)
from .confirmation import (
    confirmation_table as confirmation_table,
)
from .confirmation import (
    confirms as confirms,
)
from .confirmation import (
    finalists_words as finalists_words,
)
from .confirmation import (
    is_confirmation as is_confirmation,
)
from .dunnett import (
    DRAWS as DRAWS,
)
from .dunnett import (
    MOST_SEEDS as MOST_SEEDS,
)
from .dunnett import (
    POWER as POWER,
)
from .importance import (
    Importances as Importances,
)
from .importance import (
    importances as importances,
)
from .noise import (
    noise_groups as noise_groups,
)
from .noise import (
    study_noise as study_noise,
)
from .noise import (
    within_noise as within_noise,
)
from .pareto import (
    knee as knee,
)
from .repeats import (
    QUARTILES as QUARTILES,
)
from .repeats import (
    Compared as Compared,
)
from .repeats import (
    Group as Group,
)
from .repeats import (
    Pair as Pair,
)
from .repeats import (
    compare as compare,
)
from .repeats import (
    finite as finite,
)
from .repeats import (
    repeats_table as repeats_table,
)
from .repeats import (
    spread as spread,
)
from .tables import (
    anchors_table as anchors_table,
)
from .tables import (
    counters as counters,
)
from .tables import (
    curves_table as curves_table,
)
from .tables import (
    incumbent as incumbent,
)
from .tables import (
    nearest_in_table_7 as nearest_in_table_7,
)
from .tables import (
    notes as notes,
)
from .tables import (
    pareto_table as pareto_table,
)
from .tables import (
    placed_table as placed_table,
)
from .tables import (
    placement_table as placement_table,
)
from .tables import (
    places as places,
)
from .tables import (
    published_table as published_table,
)
from .tables import (
    search_findings as search_findings,
)
from .tables import (
    trained_keys as trained_keys,
)
