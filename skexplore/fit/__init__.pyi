from .run import (
    FitProgress as FitProgress,
    FitRequest as FitRequest,
    Listener as Listener,
    fit as fit,
)
