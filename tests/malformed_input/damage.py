"""Answers in another shape than documented: JSON that arrives whole with unexpected content."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import httpx

from tests.fakes.dataverse import FakeDataverse

type Damage = Callable[[Any], Any]
"""What is left of an answer's JSON."""


def _rows(row: Damage) -> Damage:
    """Damage each row of a list of rows, or the one that an answer is."""

    def damaged(document: Any) -> Any:
        if isinstance(document, dict) and isinstance(document.get("value"), list):
            return {**document, "value": [row(each) for each in document["value"]] or [row({})]}
        return row(document)

    return damaged


def _members(value: Any) -> Damage:
    """Replace the value of each member."""
    return _rows(lambda row: dict.fromkeys(row, value) if isinstance(row, dict) else value)


DAMAGES: dict[str, Damage] = {
    "null": lambda _: None,
    "a number": lambda _: 5,
    "a text": lambda _: "text",
    "a list": lambda _: [],
    "an object without members": lambda _: {},
    "rows that are null": lambda document: document | {"value": None} if isinstance(document, dict) else None,
    "rows that are an object": lambda document: document | {"value": {}} if isinstance(document, dict) else None,
    "each row null": _rows(lambda _: None),
    "each row a text": _rows(lambda _: "text"),
    "each row without members": _rows(lambda _: {}),
    "each member null": _members(None),
    "each member a number": _members(5),
    "each member a list": _members([None]),
    "each member an object": _members({"a": 1}),
    "each member long": _members("x" * 1_000_000),
    "each member no text that can be sent": _members("\ud800\0'%_["),
}


class Damaging:
    """Dataverse, one of whose answers is damaged. `kinds` lists what was asked, in order."""

    def __init__(self, dataverse: FakeDataverse, kind: str = "", damage: Damage = lambda document: document) -> None:
        self._dataverse, self._kind, self._damage = dataverse, kind, damage
        self.kinds: list[str] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """httpx.MockTransport calls this."""
        answer = await self._dataverse(request)
        self.kinds.append(kind_of(request))
        if self.kinds[-1] != self._kind:
            return answer
        return httpx.Response(answer.status_code, content=self._damaged(answer), headers=_type_of(answer))

    def _damaged(self, answer: httpx.Response) -> bytes:
        """Damage the answer, or those in a batch: each is one line."""
        if not _is_batch(answer):
            return json.dumps(self._damage(_json(answer.content))).encode()
        lines = [
            json.dumps(self._damage(json.loads(line))).encode() if line.startswith(b"{") else line
            for line in answer.content.split(b"\r\n")
        ]
        return b"\r\n".join(lines)


def kind_of(request: httpx.Request) -> str:
    """Return what is asked: the path without keys, and the first column that is selected."""
    path, select = request.url.path, request.url.params.get("$select", "")
    if path.endswith("$batch"):
        part = next(line for line in request.content.split(b"\r\n") if line.startswith((b"GET ", b"PATCH ")))
        path = "$batch " + part.decode().split("?")[0].split(" ")[1]
    path = re.sub(r"\([^)]+\)", "", path.replace("/api/data/v9.2/", ""))
    return f"{request.method} {path} {select.split(',')[0]}".strip()


def _is_batch(answer: httpx.Response) -> bool:
    return answer.headers.get("Content-Type", "").startswith("multipart/")


def _type_of(answer: httpx.Response) -> dict[str, str]:
    return {"Content-Type": answer.headers.get("Content-Type", "application/json")}


def _json(content: bytes) -> Any:
    return json.loads(content) if content else None
