"""Single requests with a JSON body, by people who set up an environment."""

from __future__ import annotations

import json

import httpx

from linker.adapters.dataverse.client import Dataverse


async def send_json(
    dataverse: Dataverse, method: str, path: str, body: object = None, *, etag: str = "*", solution: str | None = None
) -> httpx.Response:
    """Send a request. A PATCH never creates a row: it holds for one that exists and has this ETag ("*": any).

    What is created belongs to `solution`, if one is named. Raises what Connection.send raises.
    """
    headers = {"Content-Type": "application/json"} | ({"If-Match": etag} if method == "PATCH" else {})
    headers |= {"MSCRM.SolutionUniqueName": solution} if solution else {}
    sent = json.dumps(body).encode() if body is not None else None
    return await dataverse.connection.send(dataverse.meter, method, path, body=sent, headers=headers)
