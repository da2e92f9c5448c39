from .asking import (
    time_asking as time_asking,
)
from .comparison import (
    CAP as CAP,
    COMPETITORS as COMPETITORS,
    Comparison as Comparison,
    compare as compare,
)
from .landscape import (
    Landscape as Landscape,
    analytic as analytic,
    distinct as distinct,
)
from .objectives import (
    OBJECTIVES as OBJECTIVES,
)
from .recorded import (
    Recorded as Recorded,
)
from .verdicts import (
    CONTENDERS as CONTENDERS,
    Verdicts as Verdicts,
    judge as judge,
)
