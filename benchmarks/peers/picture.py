"""The peers as bars: processor time, tail, and rates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.peers.figures import ENDCAP, GRPC
from benchmarks.peers.systems import PEERS
from endcap.reports import Figure

PANELS = {
    "cpu_steady_ms": "processor time per request, ms (less is better)",
    "steady_p99_ms": "p99 at 60% of own saturation, ms (less is better)",
    "saturation_rate": "saturation, requests/s (more is better)",
    "zipf_slo_rate": "Zipf queries: rate at p99 ≤ 50 ms, requests/s (more is better)",
}
TITLES = {peer.name: peer.title for peer in PEERS} | {ENDCAP: "Endcap, HTTP", GRPC: "Endcap, gRPC"}


def draw(figures: Mapping[str, Figure], file: Path) -> None:
    """Write the picture."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = {name: title for name, title in PANELS.items() if name in figures}
    figure, axes = pyplot.subplots(2, 2, figsize=(12, 6.5), squeeze=False)
    for axis, (name, title) in zip(axes.flat, panels.items(), strict=False):
        values = {ENDCAP: figures[name].value, **figures[name].baselines}
        order = sorted(values, key=lambda each: values[each], reverse="less is better" in title)
        colours = ["#2f6fb5" if each in (ENDCAP, GRPC) else "#9a9a9a" for each in order]
        bars = axis.barh(
            [TITLES.get(each, each) for each in order], [values[each] for each in order], color=colours
        )
        axis.bar_label(bars, fmt="%.3g", padding=3, fontsize=8)
        axis.set_title(title, fontsize=10)
        axis.tick_params(labelsize=8)
        axis.margins(x=0.12)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=120)
    pyplot.close(figure)
