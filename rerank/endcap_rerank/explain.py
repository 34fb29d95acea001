"""Why a product stands where it stands: the terms of its score, and a sentence for a human."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from endcap_rerank.index import LiveIndex
from endcap_rerank.options import Options
from endcap_rerank.personal import Affinity
from endcap_rerank.pool import Pool
from endcap_rerank.profile import Taste
from endcap_rerank.scoring import Scored

EVENTS_SHOWN = 3
"""Most past items that an explanation names, of the shopper's events and of the session each."""

_SPEAKS = 0.05
"""Least term that a sentence mentions, on the scale where full relevance is 1."""


@dataclass(frozen=True)
class Place:
    """Where a product stands and where its score alone would put it, both from 1."""

    rank: int
    rank_by_score: int


PHRASES: dict[str, dict[str, str]] = {
    "en": {
        "pin": "placed here by the shop",
        "close": "matches the search closely",
        "fair": "matches the search",
        "loose": "matches the search loosely",
        "item": "similar to the product you are looking at",
        "user": "near to what you chose before",
        "popular": "among the most popular products",
        "tags": "has what was asked for ({})",
        "price": "within the price asked for",
        "taste": "like products you chose before ({})",
        "session": "like what you just looked at ({})",
        "refused": "like what you turned down",
        "brand": "of a brand you often choose",
        "category": "from a category you often choose",
        "affinity": "often chosen after what you chose",
        "together": "often chosen together with it",
        "usual": "priced like the brands you usually choose",
        "popularity": "popular",
        "seen": "you have seen it lately",
        "bought": "you have bought it already",
        "stock": "out of stock",
        "boosted": "promoted by the shop",
        "lowered": "lowered by the shop",
        "bury": "moved to the end by the shop",
        "up": "moved up from rank {} for variety",
        "down": "moved down from rank {} for variety",
        "comma": ", ",
        "semicolon": "; ",
        "stop": ".",
    },
    "zh": {
        "pin": "由商家置顶",
        "close": "与搜索高度相关",
        "fair": "与搜索相关",
        "loose": "与搜索略有相关",
        "item": "与您正在看的商品相似",
        "user": "接近您以往的选择",
        "popular": "属于最热门的商品",
        "tags": "符合您的要求（{}）",
        "price": "在您要求的价格范围内",
        "taste": "与您选过的商品相似（{}）",
        "session": "与您刚看过的商品相似（{}）",
        "refused": "与您不想要的商品相似",
        "brand": "是您常选的品牌",
        "category": "属于您常选的品类",
        "affinity": "选过类似商品的顾客常选",
        "together": "常与该商品一起购买",
        "usual": "与您常选品牌的价位相近",
        "popularity": "很受欢迎",
        "seen": "您最近看过",
        "bought": "您已购买过",
        "stock": "暂时缺货",
        "boosted": "由商家推荐",
        "lowered": "被商家调低",
        "bury": "被商家移到末尾",
        "up": "为了多样性从第{}位上移",
        "down": "为了多样性从第{}位下移",
        "comma": "、",
        "semicolon": "，",
        "stop": "。",
    },
}


def explain(
    position: int,
    item: str,
    place: Place,
    pool: Pool,
    scored: Scored,
    options: Options,
    index: LiveIndex,
) -> str:
    """Explain one selected candidate as a JSON object.

    Args:
        position: of the candidate in ``scored``.

    Returns:
        ``score`` and ``terms`` (name → addend; they sum to the score), ``relevance`` where it is learned
        (feature → addend; they sum to the term of that name), ``rank`` and ``rank_by_score`` (they differ by
        what diversity, caps and rules changed), ``matched`` (demands of the query that the
        product satisfies), ``because`` (past items that mattered, of the shopper and of the session),
        ``rules`` (pin, bury, boost) and ``text``, a sentence in ``options.language``.
    """
    terms = {
        name: round(float(value), 7)
        for name, value in zip(scored.names, scored.terms[:, position], strict=True)
        if value != 0.0
    }
    matched: list[dict[str, str]] = []
    if scored.tags is not None:
        for term, hit in zip(pool.constraints.terms, scored.tags.satisfied[:, position], strict=True):
            if hit:
                matched.append({"kind": term.kind, "text": term.text})
    because = {
        "events": _reasons(scored.taste, pool.profile.taste, position, index, options.age or 0),
        "session": _reasons(scored.session, pool.session, position, index, options.age or 0),
    }
    rules = [
        rule
        for rule, holds in (
            ("pin", position in pool.pins),
            ("bury", item in options.bury),
            ("boost", item in options.boost),
        )
        if holds
    ]
    explanation: dict[str, Any] = {
        "score": round(float(scored.scores[position]), 7),
        "terms": terms,
        **_relevance(position, pool, scored),
        "rank": place.rank,
        "rank_by_score": place.rank_by_score,
        "matched": matched,
        "because": {name: items for name, items in because.items() if items},
        "rules": rules,
        "text": _sentence(terms, place, pool, matched, because, rules, options),
    }
    return json.dumps(explanation, ensure_ascii=False, separators=(",", ":"))


def _relevance(position: int, pool: Pool, scored: Scored) -> dict[str, dict[str, float]]:
    """What each feature adds to the term ``relevance``; nothing where no relevance was learned."""
    if pool.learned is None or not len(pool.learned.names):
        return {}
    own = float(pool.relevance[position])
    weight = float(scored.terms[scored.names.index("relevance"), position]) / own if own else 1.0
    parts = zip(pool.learned.names, pool.learned.parts[:, position].tolist(), strict=True)
    return {"relevance": {name: round(weight * part, 7) for name, part in parts if part}}


def _reasons(affinity: Affinity | None, taste: Taste, position: int, index: LiveIndex, age: int) -> list[str]:
    """Past items that speak for a candidate; who may not see one is not told of it either."""
    if affinity is None:
        return []
    likeness: npt.NDArray[np.float32] = affinity.likeness[:, position] * taste.weights
    best = np.argsort(-likeness, kind="stable")[:EVENTS_SHOWN]
    return index.item_ids(index.for_age(taste.rows[best[likeness[best] > 0.0]], age))


def _sentence(
    terms: dict[str, float],
    place: Place,
    pool: Pool,
    matched: list[dict[str, str]],
    because: dict[str, list[str]],
    rules: list[str],
    options: Options,
) -> str:
    phrases = PHRASES[options.language]
    said: list[str] = []
    if "pin" in rules:
        said.append(phrases["pin"])
    if pool.source == "search":
        relevance = terms.get("relevance", 0.0)
        said.append(phrases["close" if relevance >= 0.7 else "fair" if relevance >= 0.35 else "loose"])
    else:
        said.append(phrases[pool.source])
    if matched:
        said.append(phrases["tags"].format(phrases["comma"].join(match["text"] for match in matched)))
    if pool.price is not None:
        said.append(phrases["price"])
    if terms.get("taste", 0.0) >= _SPEAKS and because["events"]:
        said.append(phrases["taste"].format(phrases["comma"].join(because["events"])))
    if terms.get("session", 0.0) >= _SPEAKS and because["session"]:
        said.append(phrases["session"].format(phrases["comma"].join(because["session"])))
    if terms.get("session", 0.0) <= -_SPEAKS:
        said.append(phrases["refused"])
    said.extend(phrases[name] for name in ("brand", "category") if terms.get(name, 0.0) >= _SPEAKS / 2)
    if terms.get("price", 0.0) >= _SPEAKS / 2:
        said.append(phrases["usual"])
    if terms.get("affinity", 0.0) >= _SPEAKS / 2:
        said.append(phrases["together" if pool.source == "item" else "affinity"])
    if pool.source != "popular" and terms.get("popularity", 0.0) >= _SPEAKS:
        said.append(phrases["popularity"])
    said.extend(phrases[name] for name in ("bought", "seen", "stock") if terms.get(name, 0.0) < 0.0)
    if (boost := terms.get("boost", 0.0)) != 0.0:
        said.append(phrases["boosted" if boost > 0.0 else "lowered"])
    if "bury" in rules:
        said.append(phrases["bury"])
    elif not rules and place.rank != place.rank_by_score:
        way = "up" if place.rank < place.rank_by_score else "down"
        said.append(phrases[way].format(place.rank_by_score))
    text = phrases["semicolon"].join(said) + phrases["stop"]
    return text[:1].upper() + text[1:]
