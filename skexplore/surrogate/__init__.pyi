from .features import (
    Matrix as Matrix,
    Scale as Scale,
    stages_of as stages_of,
)
from .posterior import (
    KnownNoise as KnownNoise,
    Posterior as Posterior,
)
from .priors import (
    Prior as Prior,
    prior_of as prior_of,
)
