from .architecture import (
    PLAIN as PLAIN,
)
from .architecture import (
    Setting as Setting,
)
from .architecture import (
    whole_arch_id as whole_arch_id,
)
from .architecture import (
    whole_cost as whole_cost,
)
from .architecture import (
    whole_net_id as whole_net_id,
)
from .attention import (
    BAM_DILATION as BAM_DILATION,
)
from .attention import (
    CBAM_KERNEL as CBAM_KERNEL,
)
from .attention import (
    Gate as Gate,
)
from .attention import (
    format_gate as format_gate,
)
from .attention import (
    gate_costs as gate_costs,
)
from .attention import (
    gated_cost as gated_cost,
)
from .attention import (
    parse_gate as parse_gate,
)
from .backbones import (
    BACKBONES as BACKBONES,
)
from .backbones import (
    REFERENCE as REFERENCE,
)
from .backbones import (
    Backbone as Backbone,
)
from .backbones import (
    Stem as Stem,
)
from .backbones import (
    canonical_at_reference as canonical_at_reference,
)
from .backbones import (
    cifar_backbone as cifar_backbone,
)
from .backbones import (
    get_backbone as get_backbone,
)
from .costs import (
    MAX_CLASSES as MAX_CLASSES,
)
from .costs import (
    Cost as Cost,
)
from .costs import (
    arch_id as arch_id,
)
from .costs import (
    as_blocks as as_blocks,
)
from .costs import (
    check_memory as check_memory,
)
from .costs import (
    check_whole as check_whole,
)
from .costs import (
    cost as cost,
)
from .costs import (
    cost_by_stage as cost_by_stage,
)
from .costs import (
    net_id as net_id,
)
from .costs import (
    output_sizes as output_sizes,
)
from .costs import (
    sk_conv_cost as sk_conv_cost,
)
from .drawing import (
    block_svg as block_svg,
)
from .drawing import (
    standalone as standalone,
)
from .drawing import (
    svg as svg,
)
from .limits import (
    FREE as FREE,
)
from .limits import (
    Band as Band,
)
from .limits import (
    Bound as Bound,
)
from .limits import (
    band_bounds as band_bounds,
)
from .limits import (
    budget_bounds as budget_bounds,
)
from .notation import (
    Blocks as Blocks,
)
from .notation import (
    Branch as Branch,
)
from .notation import (
    SKBlock as SKBlock,
)
from .notation import (
    explain as explain,
)
from .notation import (
    format_blocks as format_blocks,
)
from .notation import (
    parse_block as parse_block,
)
from .notation import (
    parse_blocks as parse_blocks,
)
from .notation import (
    parse_branch as parse_branch,
)
from .notation import (
    per_stage as per_stage,
)
from .notation import (
    scale_block as scale_block,
)
from .timm import (
    timm_arguments as timm_arguments,
)
from .timm import (
    why_not as why_not,
)
