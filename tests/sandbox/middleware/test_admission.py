"""What stands before the Web API: docs/reference/dataverse.md 1.2, 1.4, 1.5, 13.2 and 14."""

import asyncio
import time

import httpx
import pytest

from sandbox.identity.accounts import ADMIN, LINKER, NEWCOMER
from sandbox.middleware.admission import affinity
from sandbox.server.app import API_PATH, Sandbox
from sandbox.switches.config import changed
from tests.sandbox.conftest import URL, bearer, in_process

BATCH = "multipart/mixed; boundary=b"


def switch(sandbox: Sandbox, **switches: object) -> None:
    sandbox.environment.configure(changed(sandbox.environment.config, switches))


def batch_of(count: int) -> str:
    part = (
        "--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\nGET {} HTTP/1.1\r\n\r\n\r\n"
    )
    return part.format(f"{API_PATH}/WhoAmI") * count + "--b--\r\n\r\n"


@pytest.mark.parametrize("resource", [URL, URL + "/", "http://localhost:8050"])
async def test_a_token_for_this_environment_is_let_in(sandbox: Sandbox, resource: str) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app)) as client:
        answer = await client.get(f"{URL}{API_PATH}/WhoAmI", headers=bearer(sandbox, LINKER, resource))
    assert answer.json()["UserId"] == LINKER.systemuser_id


@pytest.mark.parametrize("resource", [None, "https://other.crm4.dynamics.com"], ids=["no token", "other audience"])
async def test_others_get_401_with_an_empty_body(sandbox: Sandbox, resource: str | None) -> None:
    headers = bearer(sandbox, LINKER, resource) if resource else {}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app)) as client:
        answer = await client.get(f"{URL}{API_PATH}/WhoAmI", headers=headers)
    assert (answer.status_code, answer.content) == (401, b"")
    assert f"resource_id={URL}/" in answer.headers["WWW-Authenticate"]


async def test_an_identity_is_let_in_once_it_is_a_user_of_the_environment(sandbox: Sandbox) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app), base_url=f"{URL}{API_PATH}") as client:
        asked = bearer(sandbox, NEWCOMER)
        stranger = await client.get("/WhoAmI", headers=asked)
        assert (stranger.status_code, stranger.json()["error"]["code"]) == (403, "0x80072560")
        body = {"applicationid": NEWCOMER.client_id}
        made = await client.post("/systemusers", json=body, headers=bearer(sandbox, ADMIN))
        user = made.headers["OData-EntityId"][-37:-1]
        assert (await client.get("/WhoAmI", headers=asked)).json()["UserId"] == user
        body = {"isdisabled": True}
        await client.patch(f"/systemusers({user})", json=body, headers=bearer(sandbox, ADMIN))
        assert (await client.get("/WhoAmI", headers=asked)).status_code == 403


async def test_answers_show_what_is_left(api: httpx.AsyncClient) -> None:
    answer = await api.get("/WhoAmI")
    assert answer.headers["x-ms-ratelimit-burst-remaining-xrm-requests"] == "5999"
    assert answer.headers["x-ms-ratelimit-time-remaining-xrm-requests"] == "1,200.00"
    assert answer.headers["x-ms-dop-hint"] == "4"


async def test_answers_have_the_headers_of_a_recorded_one(api: httpx.AsyncClient) -> None:
    headers = (await api.get("/WhoAmI")).headers
    first, second = headers.get_list("x-ms-service-request-id")
    assert (headers["REQ_ID"], first != second) == (first, True)
    names = "Cache-Control Allow Public Expires Vary Strict-Transport-Security CRM.ServiceId AuthActivityId X-Source"
    assert [name for name in names.split() if name not in headers] == []
    cookies = {cookie.partition("=")[0] for cookie in headers.get_list("set-cookie")}
    assert cookies == {"ARRAffinity", "ReqClientId", "orgId"}


@pytest.mark.parametrize(("scheme", "secure"), [("http", False), ("https", True)])
async def test_cookies_are_secure_over_https_as_recorded(sandbox: Sandbox, scheme: str, secure: bool) -> None:
    address = URL.replace("http://", f"{scheme}://")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(sandbox.app)) as client:
        answer = await client.get(f"{address}{API_PATH}/WhoAmI", headers=bearer(sandbox, LINKER))
    assert ["; secure" in cookie for cookie in answer.headers.get_list("set-cookie")] == [secure] * 3


async def test_beyond_a_limit_the_answer_is_429(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    switch(sandbox, limit_requests=1)
    await api.get("/WhoAmI")
    answer = await api.get("/WhoAmI")
    assert answer.status_code == 429
    assert answer.json()["error"]["code"] == "0x80072322"
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.headers["x-ms-ratelimit-burst-remaining-xrm-requests"] == "0"


async def test_another_user_is_counted_apart(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    switch(sandbox, limit_requests=1)
    await api.get("/WhoAmI")
    assert (await api.get("/WhoAmI")).status_code == 429
    assert (await in_process(sandbox, API_PATH, ADMIN).get("/WhoAmI")).status_code == 200


async def test_without_cookies_requests_take_turns_on_the_servers(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    switch(sandbox, servers=3)
    cookies = []
    for _ in range(6):
        api.cookies.clear()
        cookies.append((await api.get("/WhoAmI")).cookies["ARRAffinity"])
    assert cookies == [affinity(server) for server in (0, 1, 2, 0, 1, 2)]


async def test_the_affinity_cookie_keeps_a_client_on_its_server(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    switch(sandbox, servers=3, limit_requests=2)
    statuses = [(await api.get("/WhoAmI")).status_code for _ in range(3)]
    assert statuses == [200, 200, 429]


@pytest.mark.parametrize(("scope", "served"), [("user", 2), ("server", 6)])
async def test_requests_without_cookies_are_counted_together_or_by_server(
    sandbox: Sandbox, api: httpx.AsyncClient, scope: str, served: int
) -> None:
    switch(sandbox, servers=3, limit_requests=2, protection_scope=scope)
    statuses = []
    for _ in range(served + 1):
        api.cookies.clear()
        statuses.append((await api.get("/WhoAmI")).status_code)
    assert statuses == [200] * served + [429]


NEW_COLUMN = "/contacts?$top=1&$select=_new_customerprofile_value"


async def create_lookup(sandbox: Sandbox) -> str:
    """Create the column; return the cookie of the server that did it."""
    admin = in_process(sandbox, API_PATH, ADMIN)
    body = {
        "@odata.type": "Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata",
        "SchemaName": "new_account_contact",
        "ReferencedEntity": "account",
        "ReferencingEntity": "contact",
        "CascadeConfiguration": {"Delete": "RemoveLink"},
        "Lookup": {
            "@odata.type": "Microsoft.Dynamics.CRM.LookupAttributeMetadata",
            "SchemaName": "new_CustomerProfile",
        },
    }
    answer = await admin.post("/RelationshipDefinitions", json=body)
    assert answer.status_code == 204, answer.text
    return answer.cookies["ARRAffinity"]


class TestNewColumn:
    """A column that not every server knows yet: docs/reference/dataverse.md 8.2."""

    @staticmethod
    async def seen(sandbox: Sandbox, **headers: str) -> list[int]:
        """The status of a read by each of three servers."""
        async with in_process(sandbox, API_PATH) as client:
            answers = []
            for server in range(3):
                client.cookies.clear()
                sent = {"Cookie": f"ARRAffinity={affinity(server)}", **headers}
                answers.append((await client.get(NEW_COLUMN, headers=sent)).status_code)
        return answers

    @pytest.mark.parametrize(("scope", "expected"), [("all", [400, 400, 400]), ("other_servers", [200, 400, 400])])
    async def test_it_is_unknown_to_all_or_to_the_other_servers(
        self, sandbox: Sandbox, scope: str, expected: list[int]
    ) -> None:
        switch(sandbox, servers=3, metadata_lag_s=60, metadata_lag_scope=scope)
        assert await create_lookup(sandbox) == affinity(0)
        assert await self.seen(sandbox) == expected

    @pytest.mark.parametrize(("strong", "status"), [(True, 200), (False, 400)])
    async def test_strong_consistency_sees_it_unless_a_switch_denies_that(
        self, sandbox: Sandbox, strong: bool, status: int
    ) -> None:
        switch(sandbox, servers=3, metadata_lag_s=60, strong_consistency=strong)
        await create_lookup(sandbox)
        assert await self.seen(sandbox, Consistency="Strong") == [status] * 3

    async def test_a_write_meets_the_same_servers(self, sandbox: Sandbox) -> None:
        switch(sandbox, servers=2, metadata_lag_s=60, metadata_lag_scope="other_servers")
        await create_lookup(sandbox)
        statuses = []
        for server in range(2):
            async with in_process(sandbox, API_PATH, ADMIN) as client:
                sent = {"Cookie": f"ARRAffinity={affinity(server)}"}
                body = {"lastname": "Ash", "new_CustomerProfile@odata.bind": None}
                statuses.append((await client.post("/contacts", json=body, headers=sent)).status_code)
        assert statuses == [204, 400]


async def test_parts_of_a_batch_count_as_requests(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    switch(sandbox, limit_requests=3)
    headers = {"Content-Type": BATCH, "Prefer": "odata.continue-on-error"}
    answer = await api.post("/$batch", content=batch_of(4), headers=headers)
    assert answer.status_code == 200
    assert (answer.text.count("HTTP/1.1 200"), answer.text.count("HTTP/1.1 429")) == (2, 2)
    assert "0x80072322" in answer.text


async def test_a_request_takes_as_long_as_it_costs(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    switch(sandbox, ms_per_request=20, ms_per_row_read=1)
    start = time.perf_counter()
    answer = await api.get("/contacts?$select=fullname&$top=30")
    assert time.perf_counter() - start >= 0.05
    remaining = answer.headers["x-ms-ratelimit-time-remaining-xrm-requests"]
    assert remaining == "1,200.00"  # it is added when the request has ended
    after = (await api.get("/WhoAmI")).headers["x-ms-ratelimit-time-remaining-xrm-requests"]
    assert after == "1,199.95"


async def test_too_many_at_once_are_refused(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    switch(sandbox, ms_per_request=1_000, limit_concurrency=2)
    answers = await asyncio.gather(*(api.get("/WhoAmI") for _ in range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 429, 429]
    assert {a.json()["error"]["code"] for a in answers if a.status_code == 429} == {"0x80072326"}


async def test_time_scale_makes_costs_pass_sooner(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    switch(sandbox, ms_per_request=1_000_000, time_scale=100_000)
    start = time.perf_counter()
    await api.get("/WhoAmI")
    assert time.perf_counter() - start < 500  # a thousand seconds are 10 ms here


async def test_a_cost_counts_in_full_whatever_the_time_scale(sandbox: Sandbox, api: httpx.AsyncClient) -> None:
    switch(sandbox, ms_per_request=10_000, time_scale=20)
    await api.get("/WhoAmI")
    after = (await api.get("/WhoAmI")).headers["x-ms-ratelimit-time-remaining-xrm-requests"]
    assert after == "1,190.00"
