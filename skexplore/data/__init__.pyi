from .cache import (
    PARTS as PARTS,
    cache_folder as cache_folder,
    inspect_cache as inspect_cache,
    load_part as load_part,
    prepare_data as prepare_data,
)
from .datasets import (
    DATASETS as DATASETS,
    VAL_SHARE as VAL_SHARE,
    get_dataset as get_dataset,
)
from .releases import (
    inspect_release as inspect_release,
)
