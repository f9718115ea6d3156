"""Odd paths, line ends, replays and large bodies on a running host."""

from __future__ import annotations

import http.client
import json
from urllib.parse import urlsplit

import httpx
import pytest

from sandbox.demo.children import Child
from tests.security.callers import FORGED, signed_in

TRICKS = [
    "/api/runs/..%2Faudit",
    "/api/runs/%2e%2e/audit",
    "/api/health/../audit",
    "/api/health/%2e%2e/audit",
    "/api//audit",
    "/api/audit/",
    "/api/AUDIT",
    "/api/audit%00",
    "/api/audit;x=y",
    "/api/portal/../audit",
    "/api/portal/..%2faudit",
    "/api/portal/%2e%2e/%2e%2e/admin/functions",
    "/api/portal/assets/..%2f..%2fsession.py",
    "/api/portal/assets/%252e%252e/session.py",
    "/api/portal/%0d%0aSet-Cookie:%20a=b",
    "/api/portal/%f0%9f%92%a5%ff%c0%ae",
    "/api/runs/%ef%bc%8e%ef%bc%8e%ef%bc%8faudit",
    f"/api/runs/{'a' * 20_000}",
    f"/api/portal/{'a/' * 5_000}",
    "/admin/functions",
    "/runtime/webhooks/durabletask/instances/x",
]


def exchange(child: Child, path: str, **sent: str) -> tuple[int, str, list[tuple[str, str]]]:
    """Send a path exactly as it stands; return status, body and headers of the answer."""
    way = http.client.HTTPConnection(urlsplit(child.ready["url"]).netloc, timeout=120)
    way.request("GET", path, headers=sent)
    answer = way.getresponse()
    found = answer.status, answer.read().decode(errors="replace"), answer.getheaders()
    way.close()
    return found


@pytest.mark.parametrize("path", TRICKS, ids=lambda path: path[:60])
def test_no_spelling_of_a_path_gets_past_the_key_or_the_role(keyed: Child, authenticated: Child, path: str) -> None:
    status, _, sent = exchange(keyed, path)
    assert status in (303, 307, 400, 401, 404, 405, 414, 431)  # 307: the same path without the slash at its end
    assert not [name for name, _ in sent if name.lower() == "set-cookie"]
    for status, body, _ in (exchange(authenticated, path, **signed_in("viewer")), exchange(keyed, path, **FORGED)):
        assert "whoId" not in body
        assert "def " not in body
        assert status < 500 or path.startswith("/runtime/")


def newest(client: httpx.Client) -> str:
    """Return the id of the newest run."""
    runs = client.get("/api/runs", headers=signed_in("viewer")).raise_for_status().json()["value"]
    return runs[0]["id"] if runs else ""


def test_a_body_beyond_measure_is_refused_and_nothing_begins(client: httpx.Client) -> None:
    operator = signed_in("operator")
    before = newest(client)
    for path in ("/api/unification-events", "/api/runs"):
        answer = client.post(path, content=b'{"jobId":"' + b"x" * 5_000_000 + b'"}', headers=operator)
        assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
    assert newest(client) == before


def test_a_webhook_that_is_replayed_leads_to_the_run_that_served_it(client: httpx.Client) -> None:
    body = json.dumps({"jobId": "replayed"})
    answers = [client.post("/api/unification-events", content=body, headers=signed_in("operator")) for _ in range(10)]
    assert len({answer.json()["id"] for answer in answers}) == 1


@pytest.mark.parametrize("value", ["a\nb", "a\rb", "a\x00b"], ids=repr)
def test_a_job_with_line_ends_is_refused_before_it_gets_anywhere(client: httpx.Client, value: str) -> None:
    answer = client.post("/api/unification-events", json={"jobId": value}, headers=signed_in("operator"))
    assert answer.status_code == 400
