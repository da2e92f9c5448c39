from .architecture import (
    PLAIN as PLAIN,
    Architecture as Architecture,
    Setting as Setting,
    placed_rows as placed_rows,
)
from .attention import (
    BAM_DILATION as BAM_DILATION,
    CBAM_KERNEL as CBAM_KERNEL,
    GATES as GATES,
    Gate as Gate,
    parse_gate as parse_gate,
)
from .backbone import (
    Backbone as Backbone,
    Resolution as Resolution,
    Stage as Stage,
    resolution_of as resolution_of,
    resolution_text as resolution_text,
    whole_size as whole_size,
)
from .backbones import (
    BACKBONES as BACKBONES,
    REFERENCE as REFERENCE,
    cifar_backbone as cifar_backbone,
    get_backbone as get_backbone,
    is_proxy as is_proxy,
)
from .bodies import (
    MOST_UNITS as MOST_UNITS,
    blocks_of as blocks_of,
    body_of as body_of,
    deepened as deepened,
    format_network as format_network,
    read_network as read_network,
    says_body as says_body,
    varied_as as varied_as,
)
from .costs import (
    arch_id as arch_id,
    as_blocks as as_blocks,
    check_memory as check_memory,
    cost as cost,
    net_id as net_id,
)
from .drawing import (
    Drawing as Drawing,
    block_svg as block_svg,
    standalone as standalone,
    svg as svg,
)
from .formulas import (
    Cost as Cost,
    Place as Place,
    sk_conv_cost as sk_conv_cost,
)
from .limits import (
    FREE as FREE,
    Band as Band,
    Bound as Bound,
    FlopsUnit as FlopsUnit,
    Sizes as Sizes,
    band_bounds as band_bounds,
    budget_bounds as budget_bounds,
    flops_unit as flops_unit,
)
from .notation import (
    Blocks as Blocks,
    Branch as Branch,
    SKBlock as SKBlock,
    block_of_width as block_of_width,
    explain as explain,
    format_blocks as format_blocks,
    parse as parse,
    parse_block as parse_block,
    parse_blocks as parse_blocks,
    parse_branch as parse_branch,
    per_stage as per_stage,
)
from .proxies import (
    proxy_name as proxy_name,
    stand_in as stand_in,
)
from .reference import (
    branch_at_reference as branch_at_reference,
    canonical_at_reference as canonical_at_reference,
    counts_groups as counts_groups,
    get_reference as get_reference,
    groups_at_reference as groups_at_reference,
    in_words_of as in_words_of,
    reference_words as reference_words,
    written_for as written_for,
)
from .taps import (
    kernels_of as kernels_of,
    tap_shares as tap_shares,
    unseen_taps as unseen_taps,
)
from .timm import (
    timm_arguments as timm_arguments,
    why_not as why_not,
)
from .traits import (
    TRAITS as TRAITS,
    Trait as Trait,
    traits_of as traits_of,
)
from .units import (
    UNITS as UNITS,
    UnitForm as UnitForm,
    inverted_width as inverted_width,
)
