from .benchmark import (
    LAYOUTS as LAYOUTS,
    environment as environment,
    geometric_means as geometric_means,
    in_turns as in_turns,
    median_ratio as median_ratio,
    time_cost as time_cost,
    time_sk as time_sk,
    use_threads as use_threads,
)
from .device import (
    cpu_model as cpu_model,
    gpu_model as gpu_model,
)
from .fast import (
    plain_layers as plain_layers,
    speed_up as speed_up,
)
from .flop_count import (
    count as count,
    differences as differences,
    differing as differing,
)
from .latency import (
    LatencyMeter as LatencyMeter,
    measure_latency as measure_latency,
)
from .layers import (
    SKConv as SKConv,
    record_attention as record_attention,
)
from .network import (
    Network as Network,
    build as build,
    build_system as build_system,
    seeded_build as seeded_build,
)
from .outside import (
    count_outside as count_outside,
)
from .summary import (
    summarise_network as summarise_network,
)
from .timm_weights import (
    load_timm as load_timm,
    timm_state as timm_state,
)
from .units import (
    InvertedResidual as InvertedResidual,
    Shuffle as Shuffle,
    SKUnit as SKUnit,
    Unit as Unit,
)
