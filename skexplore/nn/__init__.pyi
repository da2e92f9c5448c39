from .benchmark import (
    LAYOUTS as LAYOUTS,
)
from .benchmark import (
    environment as environment,
)
from .benchmark import (
    geometric_means as geometric_means,
)
from .benchmark import (
    in_turns as in_turns,
)
from .benchmark import (
    median_ratio as median_ratio,
)
from .benchmark import (
    time_cost as time_cost,
)
from .benchmark import (
    time_sk as time_sk,
)
from .benchmark import (
    use_threads as use_threads,
)
from .fast import (
    plain_layers as plain_layers,
)
from .flop_count import (
    count as count,
)
from .flop_count import (
    differences as differences,
)
from .layers import (
    SKConv as SKConv,
)
from .layers import (
    SKUnit as SKUnit,
)
from .layers import (
    record_attention as record_attention,
)
from .network import (
    Network as Network,
)
from .network import (
    build as build,
)
from .network import (
    build_system as build_system,
)
from .network import (
    seeded_build as seeded_build,
)
from .summary import (
    summarise_network as summarise_network,
)
