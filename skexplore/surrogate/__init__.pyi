from .features import (
    Matrix as Matrix,
)
from .latency import (
    LatencyModel as LatencyModel,
)
from .model import (
    Model as Model,
    Population as Population,
)
from .prior import (
    Prior as Prior,
    pooled as pooled,
)
from .worlds import (
    Kernel as Kernel,
    Worlds as Worlds,
)
