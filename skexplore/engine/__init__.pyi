from .benchmark import (
    CAP as CAP,
    COMPETITORS as COMPETITORS,
    OBJECTIVES as OBJECTIVES,
    Comparison as Comparison,
    compare as compare,
    distinct as distinct,
    landscape as landscape,
)
from .coordinator import (
    Progress as Progress,
)
from .options import (
    Fetch as Fetch,
    Note as Note,
    Run as Run,
)
from .run import (
    ablate as ablate,
    confirm as confirm,
    default_profile as default_profile,
    is_study as is_study,
    run_plan as run_plan,
    run_plans as run_plans,
    search as search,
    train as train,
)
from .workload import (
    estimate as estimate,
)
