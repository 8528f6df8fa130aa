"""What API processes and the monitor import, for the process that they are forks of.

Its objects are left out of the collections of garbage in every fork, which would otherwise copy the pages they share.
"""

import gc
from importlib import import_module

from tidewise.process_setup import gc_postponed

MODULES = (
    "index.live",
    "model.checkpoint",
    "model.inference.cached",
    "numpy.ma",  # which NumPy imports at the first set operation
    "serving.app",
    "serving.http.server",
    "storage",
    "stream.drift.detectors",
    "tidewise.processes.api",
    "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
)

with gc_postponed():
    for name in MODULES:
        import_module(name)

gc.collect()
gc.freeze()
