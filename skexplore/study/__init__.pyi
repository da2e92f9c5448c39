from .comparable import (
    compare_specs as compare_specs,
)
from .database import (
    DATABASE_ERRORS as DATABASE_ERRORS,
)
from .database import (
    check_storage as check_storage,
)
from .database import (
    directions as directions,
)
from .database import (
    hide_password as hide_password,
)
from .database import (
    is_begun as is_begun,
)
from .design import (
    COLUMNS_OF_ERRORS as COLUMNS_OF_ERRORS,
)
from .design import (
    PAPER as PAPER,
)
from .design import (
    PLAIN_BLOCK as PLAIN_BLOCK,
)
from .design import (
    Design as Design,
)
from .design import (
    Printed as Printed,
)
from .design import (
    Variant as Variant,
)
from .hints import (
    REPEATS as REPEATS,
)
from .hints import (
    again_command as again_command,
)
from .hints import (
    report_command as report_command,
)
from .hints import (
    search_command as search_command,
)
from .hints import (
    train_command as train_command,
)
from .recipe import (
    CLASSES as CLASSES,
)
from .recipe import (
    PROFILES as PROFILES,
)
from .recipe import (
    SCHEDULES as SCHEDULES,
)
from .recipe import (
    Profile as Profile,
)
from .recipe import (
    Recipe as Recipe,
)
from .recipe import (
    Split as Split,
)
from .recipe import (
    TrainSpec as TrainSpec,
)
from .recipe import (
    get_profile as get_profile,
)
from .recipe import (
    rung_epochs as rung_epochs,
)
from .record import (
    COLUMNS as COLUMNS,
)
from .record import (
    KEEP_WEIGHTS as KEEP_WEIGHTS,
)
from .record import (
    MODES as MODES,
)
from .record import (
    SAMPLERS as SAMPLERS,
)
from .record import (
    STATUSES as STATUSES,
)
from .record import (
    THEN as THEN,
)
from .record import (
    Epoch as Epoch,
)
from .record import (
    Origin as Origin,
)
from .record import (
    Record as Record,
)
from .record import (
    Study as Study,
)
from .record import (
    StudySpec as StudySpec,
)
from .record import (
    cells as cells,
)
from .record import (
    differences as differences,
)
from .record import (
    distinct_trainings as distinct_trainings,
)
from .record import (
    pareto_front as pareto_front,
)
from .record import (
    records_table as records_table,
)
from .record import (
    status_row as status_row,
)
from .record import (
    stored_space as stored_space,
)
from .record import (
    trained as trained,
)
from .store import (
    STUDIES as STUDIES,
)
from .store import (
    Store as Store,
)
from .store import (
    UnbegunError as UnbegunError,
)
from .store import (
    archive as archive,
)
from .store import (
    check_continues as check_continues,
)
from .store import (
    check_name as check_name,
)
from .store import (
    known_studies as known_studies,
)
from .store import (
    load_study as load_study,
)
from .store import (
    study_folder as study_folder,
)
