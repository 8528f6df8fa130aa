"""The composition root: settings, wiring, the command line and the long-running commands.

The only package that imports all others. The entry points are `tidewise` and `python -m tidewise`.
"""

from __future__ import annotations

__version__ = "0.2.0"
