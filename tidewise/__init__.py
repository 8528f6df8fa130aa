"""The composition root: settings, wiring, the command line and the long-running commands.

The only package that knows all others. `tidewise` and `python -m tidewise` are the ways in.
"""

from __future__ import annotations

__version__ = "0.2.0"
