"""Why a product stands where it stands: the terms of its score, and a sentence for a human."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

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
    positions: npt.NDArray[np.int64],
    items: Sequence[str],
    ranks_by_score: Sequence[int],
    pool: Pool,
    scored: Scored,
    options: Options,
    index: LiveIndex,
) -> list[str]:
    """Explain the selected candidates, each as a JSON object.

    Args:
        positions: int64 [k], of the list in its order, in ``scored``.
        items: their ids.
        ranks_by_score: where the scores alone would put them, from 1.

    Returns:
        For each ``score`` and ``terms`` (name → addend; they sum to the score), ``relevance`` where it is
        learned (feature → addend; they sum to the term of that name), ``rank`` and ``rank_by_score`` (they
        differ by what diversity, caps and rules changed), ``matched`` (demands of the query that the
        product satisfies), ``because`` (past items that mattered, of the shopper and of the session),
        ``rules`` (pin, bury, boost) and ``text``, a sentence in ``options.language``.
    """
    age = options.age or 0
    scores, addends = _rounded(scored.scores[positions]), _rounded(scored.terms[:, positions].T)
    events = _reasons(scored.taste, pool.profile.taste, positions, index, age)
    sessions = _reasons(scored.session, pool.session, positions, index, age)
    relevance = _relevance(positions, pool, scored)
    matches = _matches(positions, pool, scored)
    rules_of = _rules(positions, items, pool, options)
    sentence = _Sentence(pool, scored.names, options.language)
    explanations = []
    for place, by_score in enumerate(ranks_by_score):
        terms = {name: value for name, value in zip(scored.names, addends[place], strict=True) if value}
        matched, rules, past = matches[place], rules_of[place], events[place]
        session = sessions[place]
        because = {"events": past} if past else {}
        if session:
            because["session"] = session
        explanation: dict[str, Any] = {
            "score": scores[place],
            "terms": terms,
            **relevance[place],
            "rank": place + 1,
            "rank_by_score": by_score,
            "matched": matched,
            "because": because,
            "rules": rules,
            "text": sentence.of(terms, place + 1, by_score, matched, past, session, rules),
        }
        explanations.append(orjson.dumps(explanation).decode())
    return explanations


def _rounded(values: npt.NDArray[np.float32]) -> Any:
    """To seven decimals, as nested lists of numbers that print as short as that."""
    return values.astype(np.float64).round(7).tolist()


def _matches(positions: npt.NDArray[np.int64], pool: Pool, scored: Scored) -> list[list[dict[str, str]]]:
    """The demands of the query that each candidate satisfies."""
    if scored.tags is None:
        return [[]] * len(positions)
    asked = [{"kind": term.kind, "text": term.text} for term in pool.constraints.terms]
    return [
        [demand for demand, satisfied in zip(asked, hits, strict=False) if satisfied]
        for hits in scored.tags.satisfied[:, positions].T.tolist()
    ]


def _rules(
    positions: npt.NDArray[np.int64], items: Sequence[str], pool: Pool, options: Options
) -> list[list[str]]:
    """The shop's rules that each candidate stands under."""
    if not (pool.pins or options.bury or options.boost):
        return [[]] * len(items)
    pins = set(pool.pins)
    return [
        ["pin"] * (position in pins) + ["bury"] * (item in options.bury) + ["boost"] * (item in options.boost)
        for position, item in zip(positions.tolist(), items, strict=True)
    ]


def _relevance(
    positions: npt.NDArray[np.int64], pool: Pool, scored: Scored
) -> list[dict[str, dict[str, float]]]:
    """What each feature adds to the term ``relevance``; nothing where no relevance was learned."""
    learned = pool.learned
    if learned is None or not len(learned.names):
        return [{}] * len(positions)
    own = pool.relevance[positions].astype(np.float64)
    terms = scored.terms[scored.names.index("relevance"), positions]
    weights = np.divide(terms, own, out=np.ones_like(own), where=own != 0.0)
    parts = (learned.parts[:, positions] * weights).T.round(7).tolist()
    return [
        {"relevance": {name: part for name, part in zip(learned.names, row, strict=True) if part}}
        for row in parts
    ]


def _reasons(
    affinity: Affinity | None, taste: Taste, positions: npt.NDArray[np.int64], index: LiveIndex, age: int
) -> list[list[str]]:
    """Past items that speak for each candidate; who may not see one is not told of it either."""
    if affinity is None:
        return [[]] * len(positions)
    likeness = affinity.likeness.T[positions] * taste.weights
    candidates = np.arange(len(positions))
    best = np.full((len(positions), min(EVENTS_SHOWN, len(taste))), len(taste))
    for heard in best.T:  # for a few, sooner done than by sorting all
        nearest = likeness.argmax(axis=1)
        np.copyto(heard, nearest, where=likeness[candidates, nearest] > 0.0)
        likeness[candidates, nearest] = 0.0
    shown = sorted(set(best[best < len(taste)].tolist()))
    rows = taste.rows[shown]
    allowed = set(index.for_age(rows, age).tolist()) if index.restricted else None
    ids = {
        place: item
        for place, item, row in zip(shown, index.item_ids(rows), rows.tolist(), strict=True)
        if allowed is None or row in allowed
    }
    return [[ids[place] for place in heard if place in ids] for heard in best.tolist()]


class _Sentence:
    """What is said of the products of one answer: only terms that some of them have are looked for."""

    def __init__(self, pool: Pool, names: Sequence[str], language: str) -> None:
        self._phrases = phrases = PHRASES[language]
        self._search = pool.source == "search"
        self._source = "" if self._search else phrases[pool.source]
        self._priced = pool.price is not None
        speaking = [
            ("brand", _SPEAKS / 2, "brand"),
            ("category", _SPEAKS / 2, "category"),
            ("price", _SPEAKS / 2, "usual"),
            ("affinity", _SPEAKS / 2, "together" if pool.source == "item" else "affinity"),
        ]
        if pool.source != "popular":
            speaking.append(("popularity", _SPEAKS, "popularity"))
        self._speaking = [(name, least, phrases[said]) for name, least, said in speaking if name in names]
        self._against = [(name, phrases[name]) for name in ("bought", "seen", "stock") if name in names]

    def of(
        self,
        terms: dict[str, float],
        rank: int,
        rank_by_score: int,
        matched: list[dict[str, str]],
        events: list[str],
        session: list[str],
        rules: list[str],
    ) -> str:
        """The sentence of the product at ``rank``; ``rank_by_score`` is where its score would put it."""
        phrases, term = self._phrases, terms.get
        said = [phrases["pin"]] if "pin" in rules else []
        if self._search:
            relevance = term("relevance", 0.0)
            said.append(phrases["close" if relevance >= 0.7 else "fair" if relevance >= 0.35 else "loose"])
        else:
            said.append(self._source)
        if matched:
            asked = phrases["comma"].join([match["text"] for match in matched])
            said.append(phrases["tags"].format(asked))
        if self._priced:
            said.append(phrases["price"])
        if events and term("taste", 0.0) >= _SPEAKS:
            said.append(phrases["taste"].format(phrases["comma"].join(events)))
        if session and term("session", 0.0) >= _SPEAKS:
            said.append(phrases["session"].format(phrases["comma"].join(session)))
        if term("session", 0.0) <= -_SPEAKS:
            said.append(phrases["refused"])
        for name, least, phrase in self._speaking:
            if term(name, 0.0) >= least:
                said.append(phrase)
        for name, phrase in self._against:
            if term(name, 0.0) < 0.0:
                said.append(phrase)
        if (boost := term("boost", 0.0)) != 0.0:
            said.append(phrases["boosted" if boost > 0.0 else "lowered"])
        if "bury" in rules:
            said.append(phrases["bury"])
        elif not rules and rank != rank_by_score:
            said.append(phrases["up" if rank < rank_by_score else "down"].format(rank_by_score))
        text = phrases["semicolon"].join(said) + phrases["stop"]
        return text[:1].upper() + text[1:]
