from .analysis import compare as compare
from .arch import cost as cost
from .engine import search as search
from .engine import train as train
from .export import export_block as export_block
from .export import load_block as load_block
from .export import verify as verify
from .nn import SKConv as SKConv
from .nn import SKUnit as SKUnit
from .nn import build as build
from .nn import build_system as build_system
from .nn import record_attention as record_attention
from .paper import place as place
from .paper import system_cost as system_cost
from .report import write_report as write_report
from .space import Space as Space
from .study import Study as Study
from .study import load_study as load_study

__version__: str
