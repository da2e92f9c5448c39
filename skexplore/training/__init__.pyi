from .batches import (
    eval_batches as eval_batches,
    load_split as load_split,
    load_test as load_test,
    normalise as normalise,
    train_batches as train_batches,
)
from .benchmark import (
    TrainTimings as TrainTimings,
    time_train as time_train,
)
from .loop import (
    Data as Data,
)
from .messages import (
    EpochEvent as EpochEvent,
    Job as Job,
    Outcome as Outcome,
    WorkerError as WorkerError,
    checkpoint_file as checkpoint_file,
    weights_file as weights_file,
)
from .pool import (
    Pool as Pool,
    core_count as core_count,
    default_devices as default_devices,
    device_name as device_name,
)
from .throughput import (
    measure as measure,
)
from .weights import (
    load_weights as load_weights,
    save_weights as save_weights,
)
