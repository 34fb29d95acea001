"""``endcap bench …``: benchmarks of this checkout; each writes build/reports/NAME.json."""

from endcap.commands.bench.calls import sdk, stages
from endcap.commands.bench.encoders import compression, encoder, quality
from endcap.commands.bench.engine import diversify, ranking, retrieval
from endcap.commands.bench.traffic import load

__all__ = [
    "compression",
    "diversify",
    "encoder",
    "load",
    "quality",
    "ranking",
    "retrieval",
    "sdk",
    "stages",
]
