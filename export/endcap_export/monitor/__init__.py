"""Watching live traffic: whether queries and scores have moved, and what shoppers take of their lists.

Needs events only (and, for scores, pages of metrics); no torch.
"""

from endcap_export.monitor.run import Watch, watch

__all__ = ["Watch", "watch"]
