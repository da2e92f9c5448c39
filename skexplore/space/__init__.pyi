from .boxes import (
    TooManyError as TooManyError,
)
from .candidates import (
    Candidates as Candidates,
    Forms as Forms,
    Shape as Shape,
    in_shares as in_shares,
    shape_of as shape_of,
)
from .decisions import (
    BODY as BODY,
    NONE as NONE,
    Condition as Condition,
    Level as Level,
    decision_problems as decision_problems,
    is_path as is_path,
    target_of as target_of,
)
from .encoder import (
    Encoder as Encoder,
    NotInSpaceError as NotInSpaceError,
    encode as encode,
)
from .size import (
    SpaceSummary as SpaceSummary,
    check_budget as check_budget,
    idle_budgets as idle_budgets,
    summarise as summarise,
)
from .space import (
    NAME as NAME,
    Space as Space,
    shipped_spaces as shipped_spaces,
    usual_space as usual_space,
)
