from .ablation import (
    AblationRequest as AblationRequest,
)
from .ablation import (
    plan_ablation as plan_ablation,
)
from .confirmation import (
    ConfirmRequest as ConfirmRequest,
)
from .confirmation import (
    plan_confirmation as plan_confirmation,
)
from .search import (
    Plan as Plan,
)
from .search import (
    Request as Request,
)
from .search import (
    Training as Training,
)
from .search import (
    TrainRequest as TrainRequest,
)
from .search import (
    own_trainings as own_trainings,
)
from .search import (
    plan_search as plan_search,
)
from .search import (
    plan_training as plan_training,
)
from .search import (
    seconds_of as seconds_of,
)
