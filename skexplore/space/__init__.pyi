from .boxes import (
    TooManyError as TooManyError,
)
from .decisions import (
    NONE as NONE,
)
from .decisions import (
    Condition as Condition,
)
from .decisions import (
    Level as Level,
)
from .decisions import (
    Problem as Problem,
)
from .decisions import (
    decision_problems as decision_problems,
)
from .decisions import (
    is_path as is_path,
)
from .decisions import (
    shown as shown,
)
from .decisions import (
    target_of as target_of,
)
from .encoder import (
    Encoder as Encoder,
)
from .encoder import (
    UniformDraws as UniformDraws,
)
from .encoder import (
    encode as encode,
)
from .size import (
    SpaceSummary as SpaceSummary,
)
from .size import (
    check_budget as check_budget,
)
from .size import (
    idle_budgets as idle_budgets,
)
from .size import (
    summarise as summarise,
)
from .space import (
    NAME as NAME,
)
from .space import (
    Space as Space,
)
from .space import (
    shipped_spaces as shipped_spaces,
)
