"""The texts of a shop, without labels: what a student learns on, and which word pieces occur."""

from __future__ import annotations

from endcap_export.shop import Shop


def trained_queries(shop: Shop) -> list[str]:
    """Distinct queries of the training part: judged, tagged, and those of the event log."""
    return list(
        dict.fromkeys(
            [
                *(judgment.query for judgment in shop.judgments),
                *(query.text for query in shop.tags),
                *(event.query for event in shop.events if event.query and not event.query.isspace()),
            ]
        )
    )


def product_texts(shop: Shop) -> list[str]:
    """Distinct texts that the product tower reads."""
    return list(dict.fromkeys(product.encoder_text() for product in shop.products))
