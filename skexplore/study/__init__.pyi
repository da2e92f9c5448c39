from .belief import (
    HALF as HALF,
    LEAST_DF as LEAST_DF,
    LEVEL as LEVEL,
    SURE as SURE,
    Answer as Answer,
    candidates_of as candidates_of,
    drawn_together as drawn_together,
    new_model as new_model,
    tell as tell,
    unclaimed as unclaimed,
)
from .comparable import (
    compare_specs as compare_specs,
)
from .continuation import (
    check_continues as check_continues,
)
from .database import (
    check_storage as check_storage,
    explain as explain,
    hide_password as hide_password,
)
from .design import (
    COLUMNS_OF_ERRORS as COLUMNS_OF_ERRORS,
    PAPER as PAPER,
    PLAIN_BLOCK as PLAIN_BLOCK,
    Contrast as Contrast,
    Design as Design,
    Group as Group,
    Printed as Printed,
    Variant as Variant,
    paper_block as paper_block,
)
from .fit_recipe import (
    FIT_RECIPES as FIT_RECIPES,
    FitRecipe as FitRecipe,
    get_fit_recipe as get_fit_recipe,
)
from .fits import (
    Fit as Fit,
    FitEpoch as FitEpoch,
    FitMetrics as FitMetrics,
    FitSpec as FitSpec,
    Measured as Measured,
    find_fits as find_fits,
    is_fit as is_fit,
    load_fit as load_fit,
    write_curve as write_curve,
    write_metrics as write_metrics,
    write_spec as write_spec,
)
from .folder import (
    STUDIES as STUDIES,
    check_name as check_name,
    is_begun as is_begun,
    study_folder as study_folder,
)
from .hints import (
    REPEATS as REPEATS,
    again_command as again_command,
    confirm_command as confirm_command,
    report_command as report_command,
    search_command as search_command,
    train_command as train_command,
)
from .images import (
    pack as pack,
)
from .latency import (
    LATENCY_DTYPES as LATENCY_DTYPES,
    LatencyTerms as LatencyTerms,
    latency_said as latency_said,
)
from .live import (
    DATABASE_ERRORS as DATABASE_ERRORS,
    Store as Store,
    directions as directions,
)
from .priors import (
    prior_of as prior_of,
)
from .reading import (
    NotBegunError as NotBegunError,
)
from .recipe import (
    OPTIMIZERS as OPTIMIZERS,
    PROFILES as PROFILES,
    RECIPES as RECIPES,
    SCHEDULES as SCHEDULES,
    Profile as Profile,
    Recipe as Recipe,
    Split as Split,
    TrainSpec as TrainSpec,
    get_profile as get_profile,
    rung_epochs as rung_epochs,
)
from .record import (
    STATUSES as STATUSES,
    THEN as THEN,
    Epoch as Epoch,
    Origin as Origin,
    Record as Record,
    Size as Size,
    devices_of as devices_of,
    differences as differences,
    now as now,
    reference_macs as reference_macs,
)
from .rungs import (
    LEAST_AGREEMENT as LEAST_AGREEMENT,
    TRIED as TRIED,
    agreement as agreement,
    rung_pairs as rung_pairs,
    rung_tells as rung_tells,
)
from .samplers import (
    DEFAULT_SAMPLER as DEFAULT_SAMPLER,
    LARGE_SPACES as LARGE_SPACES,
    SAMPLERS as SAMPLERS,
)
from .spec import (
    KEEP_WEIGHTS as KEEP_WEIGHTS,
    MODES as MODES,
    StudySpec as StudySpec,
    space_fields as space_fields,
    stored_space as stored_space,
)
from .store import (
    archive as archive,
    known_studies as known_studies,
    load_study as load_study,
)
from .study import (
    Estimate as Estimate,
    Study as Study,
    cells as cells,
    distinct_trainings as distinct_trainings,
    estimates_of as estimates_of,
    measured_error as measured_error,
    pareto_front as pareto_front,
    status_row as status_row,
    trained as trained,
    trained_blocks as trained_blocks,
    usual_replicates as usual_replicates,
)
from .table import (
    Table as Table,
    load_table as load_table,
    read_table as read_table,
)
