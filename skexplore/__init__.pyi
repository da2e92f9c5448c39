from .analysis import compare as compare
from .arch import Architecture as Architecture, cost as cost, parse as parse
from .engine import ablate as ablate, confirm as confirm, search as search, train as train
from .export import export_block as export_block, load_block as load_block, verify as verify
from .nn import (
    SKConv as SKConv,
    SKUnit as SKUnit,
    build as build,
    build_system as build_system,
    load_timm as load_timm,
    record_attention as record_attention,
    timm_state as timm_state,
)
from .paper import place as place, system_cost as system_cost
from .report import write_report as write_report
from .space import Space as Space
from .study import Study as Study, load_study as load_study, load_table as load_table

__version__: str
