from .model import (
    Model as Model,
)
from .priors import (
    Prior as Prior,
    prior_of as prior_of,
)
