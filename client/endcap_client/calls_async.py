"""A call from its first attempt to its answer, for asyncio."""

from __future__ import annotations

import asyncio
from typing import Any

from endcap_client.attempts import Attempts
from endcap_client.connection import ClientOptions
from endcap_client.errors import EndcapError, Unavailable
from endcap_client.fleet import Fleet, Server
from endcap_client.operations import Answer, Operation
from endcap_client.readiness import Readiness
from endcap_client.transport import AsyncTransport, connect_async


class AsyncCalls:
    """Balances, repeats and hedges the calls of a client over its servers."""

    def __init__(self, options: ClientOptions) -> None:
        self._options = options
        self.fleet = Fleet(options)
        # gRPC and aiohttp tie a connection to the running loop, and there may be none yet.
        self._transports: list[AsyncTransport] | None = None

    async def infer(self, operation: Operation[Any], timeout: float) -> Answer:
        """The answer of whichever server gives it.

        Raises:
            EndcapError: of the last attempt.
        """
        attempts = Attempts(self.fleet, self._options, operation, timeout)
        while True:
            server = attempts.begin()
            try:
                if self._options.hedge_after is None or not operation.hedgeable:
                    return await self._once(server, operation, attempts)
                return await self._hedged(server, operation, attempts, self._options.hedge_after)
            except Unavailable as error:
                try:
                    pause = attempts.after(error)
                except Unavailable:
                    better = await self._transport(server).explain(error, attempts.left())
                    raise self.fleet.explained(server, better) from error.__cause__
                if pause:
                    await asyncio.sleep(pause)

    async def ready(self, model: str, timeout: float) -> bool:
        """Whether any server takes requests; the servers share the time.

        Raises:
            EndcapError: none does, and for one of them waiting would not help.
        """
        asked = Readiness(self.fleet, timeout)
        for server, share in asked:
            try:
                with server:
                    if await self._transport(server).ready(model, share):
                        return True
            except EndcapError as error:
                asked.failed(server, await self._transport(server).explain(error, share))
        return asked.none()

    async def close(self) -> None:
        """Give up all connections."""
        transports, self._transports = self._transports or [], None
        for transport in transports:
            await transport.close()

    def _transport(self, server: Server) -> AsyncTransport:
        if self._transports is None:
            self._transports = [connect_async(url, self._options) for url in self._options.urls]
        return self._transports[server.number]

    async def _once(self, server: Server, operation: Operation[Any], attempts: Attempts) -> Answer:
        with server:
            return await self._transport(server).infer(operation, attempts.seconds(server))

    async def _hedged(
        self, server: Server, operation: Operation[Any], attempts: Attempts, after: float
    ) -> Answer:
        """The first good answer of two servers; the second is asked after ``after`` seconds of silence."""
        running = {asyncio.ensure_future(self._once(server, operation, attempts))}
        try:
            done, running = await asyncio.wait(running, timeout=after)
            if not done and (other := self.fleet.begin_other(attempts.tried)) is not None:
                attempts.tried.append(other)
                running.add(asyncio.ensure_future(self._once(other, operation, attempts)))
            while True:
                if not done:
                    done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                failed = [task for task in done if task.exception() is not None]
                for task in done - set(failed):
                    return task.result()
                # The other server may still have the answer.
                if not running:
                    return failed[0].result()
                done = set()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
