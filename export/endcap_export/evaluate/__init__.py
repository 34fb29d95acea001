"""How good an encoder is, on held-out data: tags, ranking, typos, each with its interval and its rivals.

Importing this package needs no torch; ``models`` loads it for what ``endcap train`` wrote.
"""

from endcap_export.evaluate.ranking import ndcg, ranking_scores
from endcap_export.evaluate.tags import tag_scores

__all__ = ["ndcg", "ranking_scores", "tag_scores"]
