"""Calling a function the way the Python worker does."""

from __future__ import annotations

import asyncio
import inspect
import os
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from typing import Any

from sandbox.host.functions import HostedFunction


class Invoker:
    """Runs coroutine functions on the host's event loop and plain functions in threads (docs/reference/azure.md 2.2).

    `client` is the configuration that durable client bindings receive, as JSON text.
    """

    def __init__(self, client: str) -> None:
        threads = os.environ.get("PYTHON_THREADPOOL_THREAD_COUNT")
        self._client = client
        self._pool = ThreadPoolExecutor(int(threads) if threads else None, thread_name_prefix="function")
        self._in_threads: set[object] = set()

    @property
    def busy_threads(self) -> int:
        """Plain functions that are running now; nothing can stop them but the end of the process."""
        return len(self._in_threads)

    async def call(self, function: HostedFunction, value: object) -> Any:
        """Run `function` with `value` as its trigger's input and return what it returns.

        A function that cancels itself has failed: RuntimeError, so that its caller receives it.
        """
        arguments = dict.fromkeys(function.clients, self._client) | {function.trigger.name: value}
        try:
            return await self._run(partial(function.call, **arguments))
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise RuntimeError(f"Function '{function.name}' cancelled itself.") from error

    async def _run(self, call: partial[Any]) -> Any:
        if inspect.iscoroutinefunction(call):
            return await call()
        work = partial(copy_context().run, self._run_in_thread, call)
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _run_in_thread(self, call: partial[Any]) -> Any:
        running = object()
        self._in_threads.add(running)
        try:
            return call()
        finally:
            self._in_threads.discard(running)

    def close(self) -> None:
        """Let no queued call start any more, and wait for none."""
        self._pool.shutdown(wait=False, cancel_futures=True)
