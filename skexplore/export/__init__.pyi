from .block_json import (
    load_block as load_block,
    read_block as read_block,
    read_block_file as read_block_file,
    read_choice as read_choice,
)
from .folder import (
    chosen as chosen,
    export_block as export_block,
)
from .verification import (
    verdict as verdict,
    verify as verify,
)
