from .accounting import (
    ReproducedRow as ReproducedRow,
    as_printed as as_printed,
    in_giga as in_giga,
    in_mega as in_mega,
    reproduce as reproduce,
    rows_of as rows_of,
    to_csv as to_csv,
)
from .drawing import (
    place_svg as place_svg,
)
from .networks import (
    SYSTEMS as SYSTEMS,
    System as System,
    get_system as get_system,
    system_cost as system_cost,
)
from .outside import (
    OUTSIDE as OUTSIDE,
    Outside as Outside,
)
from .tables import (
    ANCHOR_SETS as ANCHOR_SETS,
    Placement as Placement,
    anchor_blocks as anchor_blocks,
    anchor_names as anchor_names,
    named_blocks as named_blocks,
    place as place,
    place_cost as place_cost,
    printed_rows as printed_rows,
    table_rows as table_rows,
    tables_of as tables_of,
)
