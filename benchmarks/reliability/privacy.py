"""What of planted e-mail addresses, numbers and ids is left in logs, stores and metrics after a run."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path

from endcap_client import Client
from endcap_rerank.errors import EndcapError

from benchmarks.reliability.ground import Ground
from benchmarks.reliability.planted import PLANTED, files_of, hits, plant, plant_refused
from endcap.reports import Figure


def measure_privacy(
    repository: Path, scratch: Path, items: Sequence[str], *, progress: Callable[[str], None]
) -> dict[str, Figure]:
    """The figure ``personal_data_hits``.

    Args:
        repository: served for this alone, with hashed ids and every slow request logged.

    Raises:
        EndcapError: what was planted did not arrive.
    """
    progress("personal data is planted")
    key = scratch / "users.key"
    key.write_text("a secret of this benchmark, not guessable\n", "utf-8")
    with Ground(repository, {"ENDCAP_USER_KEY_FILE": str(key), "ENDCAP_SLOW_MS": "1"}) as ground:
        for protocol, url in (("grpc", ground.grpc_url), ("http", ground.http_url)):
            with Client(url, protocol, timeout=30.0) as shop:
                plant(shop, items)
                plant_refused(shop)
        time.sleep(2.5)  # the models hand their sums over once a second
        with urllib.request.urlopen(ground.metrics_url, timeout=10) as response:
            page = response.read()
        # While it runs: the write-ahead logs are still there.
        files = files_of(repository)
    found = hits({**files, Path("metrics"): page})
    stored = b"".join(content for path, content in files.items() if path.name.startswith("events.db"))
    if missing := [mark for mark in (b"[email]", b"[phone]", b"[card]", b"hmac:") if mark not in stored]:
        raise EndcapError(
            f"{missing} are not in the store: what was planted did not arrive, a scan shows nothing"
        )
    return {
        "personal_data_hits": Figure(
            float(len(found)),
            goal="<= 0",
            baselines={
                "planted_texts": float(len(PLANTED)),
                "files": float(len(files)),
            },
        )
    }
