"""Many streams of one server at once, on a thread of their own; events come back in a queue.

The driver of a backend is one thread that must not wait for a network. It starts and stops
streams here by key, and takes from `events` what arrived for which key: a list of positions, None
at a stream's end, or the exception that ended it. Before the first stream after a failure, or
after a while without any, `check` is awaited, so that a server that came back with another model
is noticed before a number of it is used.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import aclosing
from typing import Any, TypeVar

from selfrag.backends.completions import Completion, Interrupted
from selfrag.backends.connection import Connection
from selfrag.backends.positions import Position

_Result = TypeVar("_Result")

Event = list[Position] | None | Exception

TRUSTED_SECONDS = 30.0
"""How long after its last answer a server is taken for the same one."""


class StreamPool:
    """Streams of `connection` by key.

    Args:
        connection: where completions are asked for; closed with the pool.

    Attributes:
        events: what arrived, with its key.
        check: raises where the server is no longer what it was; None checks nothing.
    """

    def __init__(self, connection: Connection) -> None:
        self.events: queue.SimpleQueue[tuple[int, Event]] = queue.SimpleQueue()
        self.check: Callable[[], Awaitable[None]] | None = None
        self._connection = connection
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._seen = float("-inf")
        self._loop = asyncio.new_event_loop()
        self._lock = asyncio.Lock()
        self._thread = threading.Thread(target=self._loop.run_forever, name="streams", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, _Result]) -> _Result:
        """Run one coroutine on the pool's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def start(self, key: int, completion: Completion, delay: float = 0.0) -> None:
        """Ask after `delay` seconds; everything about it comes back under `key`."""
        self._loop.call_soon_threadsafe(self._start, key, completion, delay)

    def stop(self, key: int) -> None:
        """End a stream; the server notices that nobody listens and drops the request."""
        self._loop.call_soon_threadsafe(self._stop, key)

    def close(self) -> None:
        """End all streams and the thread."""
        if self._loop.is_closed():
            return
        self.run(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _start(self, key: int, completion: Completion, delay: float) -> None:
        self._tasks[key] = self._loop.create_task(self._follow(key, completion, delay))

    def _stop(self, key: int) -> None:
        task = self._tasks.pop(key, None)
        if task is not None:
            task.cancel()

    async def _follow(self, key: int, completion: Completion, delay: float) -> None:
        try:
            await asyncio.sleep(delay)
            await self._trust()
            async with aclosing(self._connection.stream(completion)) as stream:  # type: ignore[type-var]
                async for positions in stream:
                    self._seen = time.monotonic()
                    self.events.put((key, positions))
            self.events.put((key, None))
        except Interrupted as error:
            self._seen = float("-inf")
            self.events.put((key, error))
        except Exception as error:
            self.events.put((key, error))
        finally:
            self._tasks.pop(key, None)

    async def _trust(self) -> None:
        """Check the server unless it has just answered; one stream checks for all."""
        async with self._lock:
            if self.check is not None and time.monotonic() - self._seen > TRUSTED_SECONDS:
                await self.check()
                self._seen = time.monotonic()

    async def _shut(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._connection.close()
