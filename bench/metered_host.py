"""The local Functions host with a task hub that notes what its gRPC protocol would carry: `python -m bench.metered_host`.

The sidecar protocol sends each work item to the worker and each answer back; the in-memory hub hands over the same messages,
so their sizes are those of the wire. On Azure Storage histories are loaded from tables instead, but are as long.
"""

from __future__ import annotations

import atexit
import json
import os
import queue
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import grpc
from azure.core.pipeline.transport import AioHttpTransport
from durabletask.internal import orchestrator_service_pb2 as pb

from bench.spent import Timed, kind_of
from linker.adapters import telemetry
from sandbox.host import host as host_module
from sandbox.host.backend import Backend
from sandbox.host.main import run


@dataclass(slots=True)
class Meter:
    """Figures of a task hub: events by orchestration instance, bytes to and from the worker, largest payload in bytes."""

    events: dict[str, int] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    sent_bytes: int = 0
    received_bytes: int = 0
    most_bytes: int = 0
    storage: dict[str, int] = field(default_factory=dict)  # requests to Table Storage, by method and table
    requests: list[Timed] = field(default_factory=list)  # to Dataverse, by time.perf_counter

    def save(self, path: Path) -> None:
        """Write the figures as JSON."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


METER = Meter()
LOOK_S = 0.5  # until the other process is looked at again
_request = telemetry.request
_send = AioHttpTransport.send


class MeteredBackend(Backend):
    """The task hub, metered. With BENCH_PROCESSES=2 another process links every other shard."""

    def start(self) -> str:
        """Serve gRPC, and start the other process."""
        address = super().start()
        self._shards = 0
        self._other: queue.SimpleQueue[pb.WorkItem] | None = None
        if os.environ.get("BENCH_PROCESSES") == "2":
            self._other = queue.SimpleQueue()
            other = subprocess.Popen([sys.executable, "-m", "bench.second_process", address])
            atexit.register(other.kill)
        return address

    def work_items(self) -> Iterator[pb.WorkItem]:
        """Yield work and note its size."""
        for item in super().work_items():
            METER.sent_bytes += item.ByteSize()
            self._shards += item.activityRequest.name == "link_shard"
            if self._other and item.activityRequest.name == "link_shard" and self._shards % 2:
                self._other.put(item)
            else:
                yield item

    def GetWorkItems(self, request: pb.GetWorkItemsRequest, context: Any) -> Iterator[pb.WorkItem]:  # noqa: N802
        """Yield the work of the other process to it, and all else to the host itself."""
        if not (self._other and isinstance(context, grpc.ServicerContext)):
            yield from super().GetWorkItems(request, context)
            return
        while context.is_active():
            try:
                yield self._other.get(timeout=LOOK_S)
            except queue.Empty:
                continue

    def CompleteOrchestratorTask(  # noqa: N802
        self, request: pb.OrchestratorResponse, context: Any
    ) -> pb.CompleteTaskResponse:
        """Note the answer, and how long the history is with it."""
        METER.received_bytes += request.ByteSize()
        answer = super().CompleteOrchestratorTask(request, context)
        instance = self._instances.get(request.instanceId)
        if instance is not None:
            METER.events[request.instanceId] = len(instance.history)
            METER.names[request.instanceId] = instance.name
        return answer

    def CompleteActivityTask(self, request: pb.ActivityResponse, context: Any) -> pb.CompleteTaskResponse:  # noqa: N802
        """Note the answer of an activity."""
        METER.received_bytes += request.ByteSize()
        METER.most_bytes = max(METER.most_bytes, len(request.result.value))
        return super().CompleteActivityTask(request, context)


@contextmanager
def timed(method: str, path: str) -> Iterator[telemetry.Request]:
    """Note how long a request to Dataverse takes, beside what telemetry notes."""
    began = time.perf_counter()
    try:
        with _request(method, path) as sent:
            yield sent
    finally:
        METER.requests.append((kind_of(path), began, time.perf_counter()))


async def counted(transport: AioHttpTransport, request: Any, **options: Any) -> Any:
    """Count a request to Table Storage and send it."""
    what = f"{request.method} {request.url.partition('?')[0].rpartition('/')[2].partition('(')[0]}"
    METER.storage[what] = METER.storage.get(what, 0) + 1
    return await _send(transport, request, **options)


if __name__ == "__main__":
    telemetry.request = timed
    AioHttpTransport.send = counted
    atexit.register(METER.save, Path(os.environ["BENCH_METER"]))
    host_module.Backend = MeteredBackend  # type: ignore[attr-defined]  # the host builds its task hub by this name
    run(0, keys=False, app_dir=Path())
