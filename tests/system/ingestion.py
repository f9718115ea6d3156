"""Where Application Insights would take telemetry in: keeps every item, as the real exporter sends it."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Ingestion:
    """The items that arrived, by kind: MessageData, MetricData, RemoteDependencyData, ..."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []

    def of(self, kind: str) -> list[dict[str, Any]]:
        """Return the data of one kind."""
        return [item["data"]["baseData"] for item in self.items if item["data"]["baseType"] == kind]

    def messages(self, text: str) -> list[dict[str, Any]]:
        """Return the properties of every message of this text."""
        return [one["properties"] for one in self.of("MessageData") if one["message"] == text]

    def metrics(self) -> dict[str, list[dict[str, str]]]:
        """Return the properties of each value by the name of its metric."""
        found: dict[str, list[dict[str, str]]] = {}
        for one in self.of("MetricData"):
            for metric in one["metrics"]:
                found.setdefault(metric["name"], []).append(one.get("properties") or {})
        return found


@contextmanager
def ingestion() -> Iterator[tuple[Ingestion, str]]:
    """Listen on a free port; gives what arrives, and the connection string that leads here."""
    taken = Ingestion()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            items = json.loads(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            taken.items += items
            answer = json.dumps({"itemsReceived": len(items), "itemsAccepted": len(items), "errors": []}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield (
            taken,
            f"InstrumentationKey=00000000-0000-0000-0000-000000000001;IngestionEndpoint=http://127.0.0.1:{server.server_port}/",
        )
        server.shutdown()
