from .batches import (
    MEAN as MEAN,
)
from .batches import (
    STD as STD,
)
from .benchmark import (
    TrainTimings as TrainTimings,
)
from .benchmark import (
    time_train as time_train,
)
from .cache import (
    PARTS as PARTS,
)
from .cache import (
    cache_folder as cache_folder,
)
from .cache import (
    inspect_cache as inspect_cache,
)
from .cache import (
    prepare_data as prepare_data,
)
from .messages import (
    Job as Job,
)
from .messages import (
    Outcome as Outcome,
)
from .messages import (
    checkpoint_file as checkpoint_file,
)
from .messages import (
    weights_file as weights_file,
)
from .pool import (
    EpochEvent as EpochEvent,
)
from .pool import (
    Pool as Pool,
)
from .pool import (
    WorkerError as WorkerError,
)
from .pool import (
    cpu_model as cpu_model,
)
from .pool import (
    default_devices as default_devices,
)
from .releases import (
    inspect_release as inspect_release,
)
from .throughput import (
    measure as measure,
)
from .weights import (
    load_weights as load_weights,
)
