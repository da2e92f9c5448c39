from .ablation import (
    AblationRequest as AblationRequest,
    plan_ablation as plan_ablation,
)
from .confirmation import (
    ConfirmRequest as ConfirmRequest,
    plan_confirmation as plan_confirmation,
)
from .search import (
    Plan as Plan,
    Request as Request,
    Training as Training,
    TrainRequest as TrainRequest,
    own_trainings as own_trainings,
    plan_search as plan_search,
    plan_training as plan_training,
    seconds_of as seconds_of,
    space_of as space_of,
)
