"""What the page is told: answers and errors as JSON."""

from __future__ import annotations

from typing import Any

import endcap_client
from endcap_client import Item, SearchResult
from endcap_rerank.constraints import LABELS
from endcap_rerank.errors import InvalidInputError

OTHER = "other"
"""Kind of a tag whose label Endcap does not know."""

CODES: tuple[tuple[type[Exception], str], ...] = (
    (endcap_client.Overloaded, "overloaded"),
    (endcap_client.Unavailable, "unavailable"),
    (endcap_client.Timeout, "timeout"),
    (endcap_client.AccessDenied, "access_denied"),
    (endcap_client.CertificateError, "certificate"),
    (endcap_client.WrongProtocol, "wrong_protocol"),
    (endcap_client.IncompatibleServer, "incompatible"),
    (endcap_client.InvalidRequest, "invalid"),
    (InvalidInputError, "invalid"),
    (endcap_client.EndcapError, "server_error"),
)
"""What the page has a sentence for (``error.CODE`` of strings.json); the first class that fits."""


def answer_document(result: SearchResult) -> dict[str, Any]:
    """One column's answer."""
    return {
        "items": [_item(item) for item in result],
        "milliseconds": round(result.latency * 1e3, 2),
        "tags": [
            {
                "label": tag.label,
                "kind": LABELS.get(tag.label.casefold(), OTHER),
                "start": tag.start,
                "end": tag.end,
                "confidence": tag.confidence,
            }
            for tag in result.tags
        ],
        "filters": dict(result.info.get("filters") or {}),
        "corrections": list(result.info.get("corrections") or ()),
        "notes": list(result.notes),
        "personalized": bool(result.info.get("personalized")),
        "candidates": result.info.get("candidates"),
        "release": result.release,
    }


def error_document(error: Exception) -> dict[str, Any]:
    """An error: a code that the page has words for, the field where one is named, and the message itself."""
    code = next(code for kind, code in CODES if isinstance(error, kind))
    return {"code": code, "field": getattr(error, "field", None), "message": str(error)}


def _item(item: Item) -> dict[str, Any]:
    explanation = item.explanation or {}
    return {
        "id": item.id,
        "score": item.score,
        "product": dict(item.product or {}),
        "terms": dict(explanation.get("terms") or {}),
        "text": explanation.get("text", ""),
        "rank_by_score": explanation.get("rank_by_score"),
    }
