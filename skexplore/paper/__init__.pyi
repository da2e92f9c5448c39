from .accounting import (
    ReproducedRow as ReproducedRow,
)
from .accounting import (
    as_printed as as_printed,
)
from .accounting import (
    in_giga as in_giga,
)
from .accounting import (
    reproduce as reproduce,
)
from .accounting import (
    to_csv as to_csv,
)
from .drawing import (
    place_svg as place_svg,
)
from .networks import (
    SYSTEMS as SYSTEMS,
)
from .networks import (
    System as System,
)
from .networks import (
    get_system as get_system,
)
from .networks import (
    system_cost as system_cost,
)
from .networks import (
    system_cost_by_stage as system_cost_by_stage,
)
from .tables import (
    ANCHOR_SETS as ANCHOR_SETS,
)
from .tables import (
    TABLES as TABLES,
)
from .tables import (
    Placement as Placement,
)
from .tables import (
    anchor_blocks as anchor_blocks,
)
from .tables import (
    anchor_names as anchor_names,
)
from .tables import (
    place as place,
)
from .tables import (
    place_cost as place_cost,
)
from .tables import (
    printed_rows as printed_rows,
)
from .tables import (
    table_rows as table_rows,
)
