import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import jwt
import pytest
import uvicorn
from azure.identity import ManagedIdentityCredential
from starlette.applications import Starlette
from starlette.routing import Route

from sandbox.identity.accounts import ADMIN, LINKER, VENDOR, ApplicationUser
from sandbox.identity.endpoint import IdentityEndpoint
from sandbox.identity.tokens import InvalidTokenError, TokenAuthority, plain_audience

ORG = "http://127.0.0.1:8050"
AUDIENCES = frozenset({ORG})
AUTHORITY = TokenAuthority(now_s=lambda: 1_000.0)


def bearer(user: ApplicationUser = LINKER, resource: str = ORG, authority: TokenAuthority = AUTHORITY) -> str:
    return "Bearer " + authority.issue(user, resource, 600)["access_token"]


def forged(key: Any = AUTHORITY.key, algorithm: str = "RS256", **claims: object) -> str:
    """Return a good token with other claims, or signed in another way."""
    good = jwt.decode(bearer().removeprefix("Bearer "), options={"verify_signature": False})
    return "Bearer " + jwt.encode({**good, **claims}, key, algorithm=algorithm)


@pytest.mark.parametrize("user", [LINKER, VENDOR, ADMIN], ids=lambda user: user.name)
def test_a_token_names_its_user(user: ApplicationUser) -> None:
    assert AUTHORITY.verify(bearer(user), AUDIENCES) is user


@pytest.mark.parametrize("resource", [ORG, ORG + "/", ORG + "/.default", ORG + "//.default", ORG.upper()])
def test_all_spellings_of_the_audience_are_one(resource: str) -> None:
    assert AUTHORITY.verify(bearer(resource=resource), AUDIENCES) is LINKER
    assert plain_audience(resource) == ORG


@pytest.mark.parametrize(
    "authorization",
    [
        pytest.param(None, id="missing"),
        pytest.param("Basic abc", id="another scheme"),
        pytest.param("Bearer ", id="empty"),
        pytest.param("Bearer a.b.c", id="no token"),
        pytest.param(bearer(resource="https://storage.azure.com"), id="another audience"),
        pytest.param(bearer(authority=TokenAuthority(now_s=lambda: 1_000.0)), id="another key"),
        pytest.param(bearer(authority=TokenAuthority(lambda: 400.0, AUTHORITY.key)), id="expired at this second"),
        pytest.param("Bearer " + jwt.encode({"aud": ORG}, AUTHORITY.key, algorithm="RS256"), id="claims missing"),
        pytest.param(forged(iss="https://sts.windows.net/another/"), id="another tenant"),
        pytest.param(forged(appid="5a1d0c1e-0000-4000-8000-0d1b2f6f1001"), id="an unknown application"),
        pytest.param(forged(key="", algorithm="none"), id="unsigned"),
    ],
)
def test_a_bad_token_is_refused(authorization: str | None) -> None:
    with pytest.raises(InvalidTokenError):
        AUTHORITY.verify(authorization, AUDIENCES)


def test_a_token_is_good_until_its_last_second() -> None:
    earlier = TokenAuthority(lambda: 401.0, AUTHORITY.key)
    assert AUTHORITY.verify(bearer(authority=earlier), AUDIENCES) is LINKER


ENDPOINT = IdentityEndpoint(TokenAuthority(), lambda: 3600.0, header="secret")
APP = Starlette(routes=[Route("/identity/token", ENDPOINT.answer)])


@asynccontextmanager
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://sandbox") as opened:
        yield opened


@pytest.mark.parametrize(
    ("header", "query", "status"),
    [
        pytest.param("secret", {"api-version": "2019-08-01", "resource": ORG}, 200, id="as App Service asks"),
        pytest.param("wrong", {"api-version": "2019-08-01", "resource": ORG}, 403, id="wrong header"),
        pytest.param("secret", {"api-version": "2017-09-01", "resource": ORG}, 400, id="old version"),
        pytest.param("secret", {"api-version": "2019-08-01"}, 400, id="no resource"),
        pytest.param(
            "secret", {"api-version": "2019-08-01", "resource": ORG, "client_id": "nobody"}, 400, id="unknown identity"
        ),
    ],
)
async def test_endpoint_checks_what_is_asked(header: str, query: dict[str, str], status: int) -> None:
    async with client() as http:
        answer = await http.get("/identity/token", params=query, headers={"X-IDENTITY-HEADER": header})
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("query", "user"),
    [
        pytest.param({}, LINKER, id="system-assigned"),
        pytest.param({"client_id": ADMIN.client_id.upper()}, ADMIN, id="client id in any case"),
        pytest.param({"principal_id": ADMIN.object_id}, ADMIN, id="principal id"),
        pytest.param({"object_id": VENDOR.object_id}, VENDOR, id="object id"),
        pytest.param({"mi_res_id": "/subscriptions/s/userAssignedIdentities/admin"}, ADMIN, id="resource id"),
        pytest.param({"principal_id": ADMIN.client_id}, None, id="an id of another kind"),
        pytest.param({"client_id": ""}, None, id="an empty id"),
    ],
)
async def test_a_user_assigned_identity_is_found_by_each_of_its_ids(
    query: dict[str, str], user: ApplicationUser | None
) -> None:
    async with client() as http:
        params = {"api-version": "2019-08-01", "resource": ORG, **query}
        answer = await http.get("/identity/token", params=params, headers={"X-IDENTITY-HEADER": "secret"})
    assert (answer.status_code, answer.json().get("client_id")) == ((200, user.client_id) if user else (400, None))


async def test_a_header_of_other_bytes_is_just_wrong() -> None:
    async with client() as http:
        answer = await http.get("/identity/token", headers={"X-IDENTITY-HEADER": b"\xff\xfe"})
    assert answer.status_code == 403


@contextmanager
def listening() -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(APP, port=0, log_level="error", ws="none"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            thread.join(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/identity/token"
    finally:
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize("user", [None, VENDOR], ids=["system-assigned", "user-assigned"])
def test_azure_identity_gets_a_token_unchanged(user: ApplicationUser | None, monkeypatch: pytest.MonkeyPatch) -> None:
    with listening() as url:
        monkeypatch.setenv("IDENTITY_ENDPOINT", url)
        monkeypatch.setenv("IDENTITY_HEADER", "secret")
        with ManagedIdentityCredential(client_id=user.client_id if user else None) as credential:
            token = credential.get_token(f"{ORG}/.default")
    assert ENDPOINT.authority.verify(f"Bearer {token.token}", AUDIENCES) is (user or LINKER)
