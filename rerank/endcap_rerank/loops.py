"""Loops that numpy makes slow, compiled from ``_loops.c`` when the package is installed.

``_loops.pyi`` says what they do. COMPILED is false where no compiler was there.
What uses them does the same with numpy then.
"""

from __future__ import annotations

COMPILED = True
try:
    from endcap_rerank._loops import add as add
    from endcap_rerank._loops import dpp as dpp
    from endcap_rerank._loops import top as top
except ImportError:
    COMPILED = False
