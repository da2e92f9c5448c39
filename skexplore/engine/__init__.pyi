from .benchmark import (
    CAP as CAP,
)
from .benchmark import (
    COMPETITORS as COMPETITORS,
)
from .benchmark import (
    OBJECTIVES as OBJECTIVES,
)
from .benchmark import (
    Comparison as Comparison,
)
from .benchmark import (
    compare as compare,
)
from .benchmark import (
    distinct as distinct,
)
from .benchmark import (
    landscape as landscape,
)
from .coordinator import (
    Progress as Progress,
)
from .options import (
    Fetch as Fetch,
)
from .options import (
    Note as Note,
)
from .options import (
    Run as Run,
)
from .run import (
    default_profile as default_profile,
)
from .run import (
    is_study as is_study,
)
from .run import (
    run_plan as run_plan,
)
from .run import (
    run_plans as run_plans,
)
from .run import (
    search as search,
)
from .run import (
    train as train,
)
from .sampler import (
    STARTUP as STARTUP,
)
from .workload import (
    Estimate as Estimate,
)
from .workload import (
    estimate as estimate,
)
