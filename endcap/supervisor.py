"""A tritonserver that is started again when it, or one of its Python stubs, has died."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from endcap_rerank.errors import EndcapError

from endcap.launcher import Server
from endcap.triton.installation import TritonError
from endcap.triton.probe import Probe
from endcap.triton.stubs import StubWatch

QUICK = 5.0
"""Seconds that a server must have been ready for its end not to count as a failed start."""

PAUSES = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Seconds before the start after so many failures in a row; after one more it is given up."""

SILENCES = 3
"""Probes in a row without an answer after which a server hangs."""

PROBED_EVERY = 5.0
_TURN = 1.0
_MOMENT = 0.25


class Supervisor:
    """Keeps a server up, on the ports on which it was first started.

    tritonserver 2.51 does not start a dead stub again: every request to it fails after a second, for good. A
    model that is loaded anew would run, but the old one is never unloaded and keeps one of Triton's loading
    threads for ever. So the whole server is ended and started again, which takes a few seconds.

    Args:
        server: running; after ``run`` the attribute of that name is the last one.
        start: starts one like it, after a failure of the one before with care: the fault may be in what is
            served. Raises EndcapError.
        say: told in one sentence what happened and what is done.
        stopping: whether the server is to end; asked at least once a second.
    """

    def __init__(
        self,
        server: Server,
        start: Callable[[Server, bool], Server],
        *,
        say: Callable[[str], None],
        stopping: Callable[[], bool],
    ) -> None:
        self.server = server
        self._start = start
        self._say = say
        self._stopping = stopping

    def run(self) -> None:
        """Return when the server is to end; it may still be about to.

        Raises:
            TritonError: it ended again and again, each time within QUICK seconds; the message says why.
        """
        failures = 0
        while True:
            began = time.monotonic()
            why = self._until_unwell()
            if why is None:
                return
            failures = failures + 1 if time.monotonic() - began < QUICK else 0
            while True:
                if failures >= len(PAUSES):
                    log = f"; see {self.server.log}" if self.server.log else ""
                    raise TritonError(f"given up after {failures} failures in a row, the last: {why}{log}")
                pause = PAUSES[failures]
                self._say(f"{why}; starting it again" + (f" in {pause:g} s" if pause else ""))
                self.server.stop(0.0)
                if not self._paused(pause):
                    return
                try:
                    self.server = self._start(self.server, failures > 0)
                    break
                except EndcapError as error:
                    why = f"the server did not start: {error}"
                    failures += 1
            self._say("the server is ready again")

    def _until_unwell(self) -> str | None:
        """Wait until something is wrong and say what; None when the server is to end."""
        watch = StubWatch(self.server.pid)
        probe = Probe(self.server.http_url)
        probed, silences, suspicious = time.monotonic(), 0, False
        try:
            while not self._stopping():
                ended = watch.wait(_TURN)
                if self._stopping():
                    return None
                if not self.server.running:
                    return f"tritonserver ended by itself with status {self.server.wait()}"
                suspicious = suspicious or ended
                if suspicious:
                    with contextlib.suppress(TritonError):  # no answer: asked again in a moment
                        if dead := self._dead(watch, probe):
                            return dead
                        suspicious = False
                watch.refresh()
                if time.monotonic() - probed >= PROBED_EVERY:
                    silences = 0 if probe.answers() else silences + 1
                    probed = time.monotonic()
                    if silences >= SILENCES:
                        return f"the models did not answer {silences} times in a row"
            return None
        finally:
            watch.close()

    def _dead(self, watch: StubWatch, probe: Probe) -> str | None:
        """Which model lacks a process, if any does; processes of a version that is unloaded end as well."""
        if not watch.missing(probe.instances):
            return None
        time.sleep(_MOMENT)  # looked at twice: a version that is loaded anew changes its processes
        dead = [f"{model} (version {version})" for model, version in watch.missing(probe.instances)]
        return f"a process of {' and of '.join(dead)} has died" if dead else None

    def _paused(self, seconds: float) -> bool:
        """Wait; whether the server is still wanted."""
        ends = time.monotonic() + seconds
        while not self._stopping():
            left = ends - time.monotonic()
            if left <= 0.0:
                return True
            time.sleep(min(left, 0.1))
        return False
