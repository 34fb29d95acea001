"""Options of tritonserver that send OpenTelemetry traces."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from endcap_rerank.errors import InvalidInputError


@dataclass(frozen=True)
class Traces:
    """Where spans go: of the ensemble, and of each step its queue and its computation.

    Triton writes times and names of models into them, no tensors: nothing of a query or of a shopper.

    Attributes:
        url: an OTLP collector's, over HTTP: ``http://host:4318/v1/traces``.
        rate: one request in so many is traced, unless its caller traces it.
    """

    url: str
    rate: int = 1000

    def validate(self) -> None:
        """Check the fields.

        Raises:
            InvalidInputError: names the field.
        """
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or not parts.path.strip("/"):
            raise InvalidInputError(
                "otlp", self.url, "a URL like http://localhost:4318/v1/traces is expected"
            )
        if self.rate < 1:
            raise InvalidInputError("trace_rate", self.rate, "1 (every request) or more is expected")

    def options(self) -> list[str]:
        """Options of tritonserver."""
        settings = (
            "mode=opentelemetry",
            "level=TIMESTAMPS",
            f"rate={self.rate}",
            f"opentelemetry,url={self.url}",
            "opentelemetry,resource=service.name=endcap",
        )
        return [f"--trace-config={setting}" for setting in settings]
