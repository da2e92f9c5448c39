from .model import (
    Model as Model,
)
from .priors import (
    Prior as Prior,
    pooled as pooled,
    prior_of as prior_of,
)
