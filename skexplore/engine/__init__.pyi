from .coordinator import (
    Coordinator as Coordinator,
    Progress as Progress,
    Work as Work,
)
from .events import (
    Event as Event,
    Fetch as Fetch,
    Note as Note,
)
from .options import (
    Run as Run,
)
from .run import (
    ablate as ablate,
    confirm as confirm,
    default_profile as default_profile,
    environment as environment,
    is_study as is_study,
    run_plan as run_plan,
    run_plans as run_plans,
    search as search,
    train as train,
)
from .sampler import (
    constraints as constraints,
)
from .state import (
    State as State,
)
from .workload import (
    estimate as estimate,
)
