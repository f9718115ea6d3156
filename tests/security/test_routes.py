"""Every route and every role on a running host: who gets in, and who does not. A route that is not known here fails."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from linker.core.roles import Role
from linker.entrypoints import api, portal
from linker.entrypoints.api import Operation
from sandbox.demo.children import Child
from tests.fakes.principal import headers
from tests.fakes.world import contact_id
from tests.security.callers import FORGED, signed_in

# Who may ask for what: a new operation or page needs its line here.
LISTED = {
    Role.VIEWER: """
        GET /runs
        GET /runs/{run}
        GET /runs/{run}/errors
        GET /runs/{run}/samples
        GET /rows/{table}/{row}
        GET /rows/{table}/{row}/insights
        GET /status
        GET /preflight
        GET /openapi.json
        GET /portal
        GET /portal/history
        GET /portal/timeline
        GET /portal/preflight
        GET /portal/rows
        GET /portal/rows/{run}/download
        GET /portal/actions
        GET /portal/about
        GET /portal/runs/{run}/changes
    """,
    Role.OPERATOR: """
        POST /runs
        POST /unification-events
        POST /runs/{run}/cancel
        GET /tables/{table}/first-link
        POST /tables/{table}/approve
        POST /pause
        POST /resume
        GET /portal/pause
        POST /portal/pause
        POST /portal/resume
        GET /portal/actions/review
        POST /portal/actions/review
        POST /portal/actions/run
        GET /portal/runs/{run}/cancel
        POST /portal/runs/{run}/cancel
        GET /portal/tables/{table}/approve
        POST /portal/tables/{table}/approve
        GET /portal/tables/{table}/unlink
    """,
    Role.ADMIN: """
        GET /audit
        GET /portal/audit
    """,
}
ROLES = {line.strip(): role for role, lines in LISTED.items() for line in lines.strip().splitlines()}
# Routes outside the operations of the API, by their level where keys count. What `portal` leads to is in portal.PAGES.
OTHERS = {
    ("GET", "/"): "ANONYMOUS",
    ("GET", "api"): "ANONYMOUS",
    ("GET", "api/health"): "ANONYMOUS",
    ("GET", "api/portal/{*rest}"): "ANONYMOUS",
    ("POST", "api/portal/{*rest}"): "ANONYMOUS",
    ("POST", "api/portal-session"): "FUNCTION",
}
PLACES = {"run": "20261123T000000Z-00000000", "table": "contact", "row": contact_id(1), "name": "task"}
PAGES = [one for one in portal.PAGES if one.method == "GET"]
FORMS = [one for one in portal.PAGES if one.method == "POST"]
KEY = "a-key-of-the-tests"
EVERYBODY = ("viewer", "operator", "admin", "owner", "")


def named(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


def address(operation: Operation) -> str:
    """Return the address of an operation, its parameters filled in."""
    return f"/api{operation.path}".format_map(PLACES)


def registered(client: httpx.Client, **asked: str) -> dict[tuple[str, str], str]:
    """Return the level of each route that the host knows, as it would report it to the platform."""
    functions = client.get("/admin/functions", headers=asked).raise_for_status().json()
    triggers = [one for f in functions for one in f["config"]["bindings"] if one["type"] == "httpTrigger"]
    levels = {
        (str(method).upper(), one["route"]): str(one["authLevel"]).upper()
        for one in triggers
        for method in one["methods"]
    }
    heads = {route: level for (method, route), level in levels.items() if method == "HEAD"}
    gets = {route: level for (method, route), level in levels.items() if method == "GET"}
    assert heads == gets, "HEAD goes beside GET, with its level"
    return {place: level for place, level in levels.items() if place[0] != "HEAD"}


# ---- levels ----


def test_everything_that_can_be_asked_for_is_listed_with_its_role() -> None:
    assert {named(one): one.role for one in [*api.OPERATIONS, *portal.PAGES]} == ROLES


def test_every_route_asks_for_a_key_that_fits_its_role_without_sign_in(keyed: Child, keyed_client: Any) -> None:
    levels = {Role.VIEWER: "FUNCTION", Role.OPERATOR: "FUNCTION", Role.ADMIN: "ADMIN"}
    expected = {(one.method, f"api{one.path}"): levels[ROLES[named(one)]] for one in api.OPERATIONS}
    assert registered(keyed_client, **{"x-functions-key": keyed.ready["keys"]["master"]}) == expected | OTHERS


def test_no_route_asks_for_a_key_where_people_sign_in(client: httpx.Client) -> None:
    """A key would let an unknown caller in."""
    routes = [(one.method, f"api{one.path}") for one in api.OPERATIONS]
    assert registered(client) == dict.fromkeys([*routes, *OTHERS], "ANONYMOUS")


@pytest.mark.parametrize("path", ["/", "/api", "/api/"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_address_of_the_app_leads_to_the_page_and_shows_nothing_itself(
    keyed_client: httpx.Client, client: httpx.Client, path: str, method: str
) -> None:
    for app, asked, end in ((keyed_client, {}, 200), (client, {}, 401), (client, signed_in("viewer"), 200)):
        answer = app.request(method, path, headers=asked, follow_redirects=True)
        (first, *_) = [one for one in answer.history if one.status_code == 303]
        assert (first.headers["location"], first.content) == ("/api/portal", b"")
        assert (answer.status_code, answer.url.path.startswith("/api/portal")) == (end, True)


@pytest.mark.parametrize("path", ["/api/health", "/api/status", "/api/runs", "/api/portal", "/api/runs/none"])
def test_head_answers_as_get_does_without_a_body(client: httpx.Client, path: str) -> None:
    got, head = (client.request(method, path, headers=signed_in("viewer")) for method in ("GET", "HEAD"))
    assert (head.status_code, head.headers["content-type"]) == (got.status_code, got.headers["content-type"])
    assert (head.content, bool(got.content)) == (b"", True)


# ---- roles ----


@pytest.mark.parametrize("one", [*api.OPERATIONS, *PAGES, *FORMS], ids=named)
def test_a_role_opens_what_is_for_it_and_nothing_else(client: httpx.Client, one: Operation) -> None:
    """App Service has checked who asks; a form that the app did not make is refused from every sender."""
    for role in EVERYBODY:
        answer = client.request(one.method, address(one), headers=signed_in(role))
        may = role in list(Role) and Role(role).rank >= ROLES[named(one)].rank
        if not role:
            assert answer.status_code == 401
        elif not may:
            assert (answer.status_code, "Not allowed" in answer.text) == (403, True)
        elif one in FORMS:
            assert (answer.status_code, "Nothing was done" in answer.text) in {(400, True), (403, True)}
            assert "Not allowed" not in answer.text
        else:
            assert answer.status_code not in (401, 403), role


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param({"x-functions-key": "any"}, id="a key"),
        pytest.param(
            {"x-ms-client-principal-name": "ada@contoso.com", "x-ms-client-principal-id": "7c0f"}, id="a name"
        ),
        pytest.param({"x-ms-client-principal": "e30="}, id="an empty principal"),
        pytest.param({"x-ms-client-principal": "[" * 5_000}, id="no principal"),
        pytest.param({"authorization": "Bearer a.b.c"}, id="a token that nobody checked"),
        pytest.param({"cookie": "linker_session=9999999999.x.y; AppServiceAuthSession=x"}, id="cookies"),
    ],
)
def test_what_the_platform_did_not_check_opens_nothing(client: httpx.Client, sent: dict[str, str]) -> None:
    for path in ("/api/status", "/api/audit", "/api/portal"):
        assert client.get(path, headers=sent).status_code == 401


def test_a_role_of_another_identity_provider_does_not_count(client: httpx.Client) -> None:
    foreign = headers(("roles", "admin"), provider="google")
    assert client.get("/api/status", headers=foreign).status_code == 403


# ---- keys ----

KEYLESS = [
    pytest.param({}, id="no key"),
    pytest.param({"x-functions-key": "wrong"}, id="wrong key"),
    pytest.param({"x-functions-key": ""}, id="empty key"),
    pytest.param(FORGED, id="forged headers of an admin"),
    pytest.param({"cookie": "linker_session=9999999999.x.y"}, id="forged session"),
]


@pytest.mark.parametrize("sent", KEYLESS)
def test_without_the_key_nothing_is_served_and_no_session_begins(
    keyed_client: httpx.Client, sent: dict[str, str]
) -> None:
    for one in api.OPERATIONS:
        assert keyed_client.request(one.method, address(one), headers=sent).status_code == 401, one.name
    begun = keyed_client.post("/api/portal-session", headers=sent)
    assert (begun.status_code, "set-cookie" in begun.headers) == (401, False)


@pytest.mark.parametrize("sent", [*KEYLESS, pytest.param({"x-functions-key": KEY}, id="the key itself")])
def test_pages_lead_to_the_sign_in_without_a_session(keyed_client: httpx.Client, sent: dict[str, str]) -> None:
    for one in [*PAGES, *FORMS]:
        answer = keyed_client.request(one.method, address(one), headers=sent)
        assert (answer.status_code, answer.headers.get("location", "").partition("?")[0]) == (
            303,
            "/api/portal/sign-in",
        ), one.name


def test_with_the_key_forged_headers_give_no_more_and_no_less(keyed: Child, keyed_client: httpx.Client) -> None:
    key, master = ({"x-functions-key": keyed.ready["keys"][kind]} for kind in ("host", "master"))
    assert keyed_client.post("/api/runs", json={"dryRun": True}, headers=key | signed_in("viewer")).status_code == 202
    assert keyed_client.get("/api/audit", headers=key | FORGED).status_code == 401
    (newest, *_) = keyed_client.get("/api/audit", headers=master | FORGED).json()["value"]
    assert (newest["who"], newest["whoId"]) == ("holder of a function key", "")


def test_a_session_opens_the_pages_and_none_of_the_api(keyed: Child, keyed_client: httpx.Client) -> None:
    begun = keyed_client.post("/api/portal-session", headers={"x-functions-key": keyed.ready["key"]})
    cookie = begun.headers["set-cookie"].partition(";")[0]
    assert keyed_client.get("/api/portal", headers={"cookie": cookie}).status_code == 200
    for one in api.OPERATIONS:
        assert keyed_client.request(one.method, address(one), headers={"cookie": cookie}).status_code == 401
    keyed_client.cookies.clear()
