"""The caller's trace, passed on to the server where OpenTelemetry is installed."""

from __future__ import annotations

from collections.abc import Callable

Carrier = dict[str, str]


def propagation() -> Callable[[], Carrier] | None:
    """What gives the headers of the current trace (``traceparent``, ``tracestate``, ``baggage``).

    None without the package ``opentelemetry-api``, so that a call costs nothing then. Which headers they
    are is up to the propagator that the application has set.
    """
    try:
        from opentelemetry.propagate import inject
    except ImportError:
        return None

    def headers() -> Carrier:
        carrier: Carrier = {}
        inject(carrier)
        return {name.lower(): value for name, value in carrier.items()}

    return headers
