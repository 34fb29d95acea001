"""From nothing to a repository that can be served: the shop, then a release trained on it."""

from __future__ import annotations

import time

from rich.console import Console

from endcap.demo.place import Place
from endcap.demo_shop import generate
from endcap.demo_shop.catalogue import DAY
from endcap.demo_shop.files import TRUTH

PRODUCTS = 5000
SEED = 7
BASES = {"en": "minilm", "zh": "zh"}
"""The BERT to start from, by language."""

STEPS = 150
SECONDS = 150.0
"""Training stops at the first of both: the demo should be over in a few minutes on two cores."""


def prepare(console: Console, place: Place, *, products: int = PRODUCTS, steps: int = STEPS) -> None:
    """Make the shop unless it is there, train a release on it and register that, unless it loses.

    Raises:
        EndcapError: the base BERT is not there, or a later stage failed; nothing is registered then.
    """
    from endcap_export.base import find_base
    from endcap_export.build import build
    from endcap_export.gate import GateError
    from endcap_export.train import TrainingSettings

    from endcap.commands.build import show_release
    from endcap.progress import stage_bars
    from endcap.verdict import show_verdict

    base = BASES[place.language]
    find_base(base)  # before anything is made
    began = time.monotonic()
    if not (place.shop / TRUTH).exists():
        # The log ends today: to a profile, what a shopper did a year ago is nearly forgotten.
        today = time.time() // DAY * DAY
        with console.status("making the shop"):
            shop = generate(place.shop, products=products, seed=SEED, language=place.language, now=today)
        console.print(
            f"{shop.directory}: {shop.products:,} invented products, {shop.queries:,} tagged queries, "
            f"{shop.judgments:,} judgments, {shop.events:,} events of {shop.shoppers:,} shoppers"
        )
    settings = TrainingSettings(max_steps=steps, seconds=SECONDS, evaluate="never", report_to="none")
    try:
        with stage_bars() as bars:
            built = build(place.shop, place.repository, base=base, settings=settings, progress=bars)
    except GateError as error:
        # A demo with fewer steps than the one before: nothing to stop for.
        show_verdict(console, error.verdict)
        console.print("the new release lost; the one before is served on\n")
        return
    show_release(built.record)
    console.print(
        f"release {built.release.id}: version {built.version} in {place.repository}, "
        f"{time.monotonic() - began:.0f} s\n",
        soft_wrap=True,
    )
