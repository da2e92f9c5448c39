from .cache import (
    PARTS as PARTS,
    cache_folder as cache_folder,
    inspect_cache as inspect_cache,
    load_part as load_part,
    prepare_data as prepare_data,
)
from .datasets import (
    CIFAR as CIFAR,
    DATASETS as DATASETS,
    Content as Content,
    get_dataset as get_dataset,
)
from .own import (
    MOST_SIDE as MOST_SIDE,
    OwnImages as OwnImages,
    content_of as content_of,
    describe_own as describe_own,
    inspect_own as inspect_own,
    is_own as is_own,
    items_of as items_of,
    prepare_own as prepare_own,
    remarks as remarks,
)
from .pixels import (
    BROKEN as BROKEN,
    plain_image as plain_image,
)
from .releases import (
    inspect_release as inspect_release,
)
from .sources import (
    Item as Item,
)
from .split import (
    split_indices as split_indices,
    stratified as stratified,
)
