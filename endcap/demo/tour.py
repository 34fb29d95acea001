"""The tour: what a running Endcap answers, asked through the SDK and shown as it comes."""

from __future__ import annotations

import uuid
from pathlib import Path

from endcap_client import Client, Event, Item, SearchResult
from endcap_rerank.schema import DEFAULT_DIVERSITY
from rich.console import Console

from endcap.demo import show
from endcap.demo.spread import Spread
from endcap.demo.story import ShopperStory, Story

K = 8
DIVERSE = DEFAULT_DIVERSITY
CLICKS = 2


def give_tour(console: Console, client: Client, story: Story, release: Path) -> None:
    """Show understanding, diversity, taste, recommendation, feedback and explanation.

    Args:
        release: the folder of the release that the server answers from; its vectors measure variety.

    Raises:
        endcap_client.EndcapError: the server did not answer.
    """
    spread = Spread(release)
    _understanding(console, client, story.query)
    _diversity(console, client, story.query, spread)
    _taste(console, client, story)
    _recommendation(console, client, story.shoppers[0])
    _feedback(console, client, story.query)
    _explanation(console, client, story)


def _understanding(console: Console, client: Client, query: str) -> None:
    client.search(query, k=1)  # the first request of a server opens its stores and is not typical
    result = client.search(query, k=K, fields=show.FIELDS)
    console.print(show.understood(query, result))
    console.print(
        f"answered in {result.latency * 1000:.1f} ms by release {result.release}, one request over gRPC\n",
        style="dim",
    )


def _diversity(console: Console, client: Client, query: str, spread: Spread) -> None:
    console.rule("the same query: relevance only, and diverse")
    tables = []
    for title, diversity in (("diversity 0", 0.0), (f"diversity {DIVERSE}", DIVERSE)):
        items = client.search(query, k=K, diversity=diversity, fields=show.FIELDS).items
        footer = show.variety(items, spread.intra_list_distance([item.id for item in items]))
        tables.append(show.ranking(title, items, footer=footer))
    console.print(show.side_by_side(*tables, width=console.width))
    console.print()


def _taste(console: Console, client: Client, story: Story) -> None:
    console.rule("the same query: two shoppers")
    answers = [
        client.search(story.query, user=shopper.id, k=K, diversity=0.0, fields=show.FIELDS)
        for shopper in story.shoppers
    ]
    tables = [
        show.ranking(_about(shopper), answer.items, highlight=shopper.brands[:2])
        for shopper, answer in zip(story.shoppers, answers, strict=True)
    ]
    console.print(show.side_by_side(*tables, width=console.width))
    same = len(set(answers[0].ids) & set(answers[1].ids))
    console.print(f"{same} of {K} products are in both lists\n", style="dim")


def _about(shopper: ShopperStory) -> str:
    likes = " and ".join(shopper.brands[:2])
    return f"{shopper.id} ({shopper.events} events; here mostly {likes})"


def _recommendation(console: Console, client: Client, shopper: ShopperStory) -> None:
    console.rule("no query: for this shopper, today")
    items = client.recommend(shopper.id, k=K, fields=show.FIELDS).items
    console.print(show.ranking(shopper.id, items))
    console.print()


def _feedback(console: Console, client: Client, query: str) -> None:
    console.rule("clicks change the next answer")
    visitor = f"visitor-{uuid.uuid4().hex[:8]}"
    before = client.search(query, user=visitor, k=K, diversity=0.0, fields=show.FIELDS)
    clicked = _to_click(before)
    client.feedback(
        Event(visitor, item.id, "click", query=query, position=before.ids.index(item.id)) for item in clicked
    )
    after = client.search(query, user=visitor, k=K, diversity=0.0, fields=show.FIELDS)
    brands = list(dict.fromkeys(str((item.product or {}).get("brand", "")) for item in clicked))
    console.print(
        show.side_by_side(
            show.ranking("a new visitor", before.items, highlight=brands),
            show.ranking(
                f"the next answer, after {len(clicked)} clicks on {' and '.join(brands)}",
                after.items,
                highlight=brands,
                before=before.ids,
            ),
            width=console.width,
        )
    )
    console.print()


def _to_click(result: SearchResult) -> tuple[Item, ...]:
    """The last products of the list: a click far down says most about taste."""
    return result.items[-CLICKS:]


def _explanation(console: Console, client: Client, story: Story) -> None:
    console.rule("why this product")
    shopper = story.shoppers[0]
    result = client.search(story.query, user=shopper.id, k=1, explain=True, fields=show.FIELDS)
    for item in result:
        console.print(show.explained(item))
    console.print()
