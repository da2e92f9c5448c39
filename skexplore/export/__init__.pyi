from .block_json import (
    load_block as load_block,
    read_block as read_block,
    read_block_file as read_block_file,
    read_choice as read_choice,
)
from .code import (
    standalone_code as standalone_code,
)
from .folder import (
    chosen as chosen,
    export_block as export_block,
)
from .onnx_file import (
    onnx_bytes as onnx_bytes,
)
from .verification import (
    verdict as verdict,
    verify as verify,
)
