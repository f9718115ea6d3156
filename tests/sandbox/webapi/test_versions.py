"""Which versions of the Web API are answered (Microsoft: code for v9.0 still works)."""

import httpx
import pytest

from sandbox.identity.accounts import ADMIN
from sandbox.server.app import Sandbox
from tests.sandbox.conftest import in_process


@pytest.mark.parametrize("version", ["v9.0", "v9.1", "v9.2"])
async def test_the_versions_of_9_are_answered(sandbox: Sandbox, version: str) -> None:
    async with in_process(sandbox, f"/api/data/{version}", ADMIN) as api:
        assert "UserId" in (await api.get("/WhoAmI")).json()


@pytest.mark.parametrize("version", ["v8.2", "v9.3"])
async def test_another_version_is_said_to_be_missing(sandbox: Sandbox, version: str) -> None:
    async with in_process(sandbox, f"/api/data/{version}", ADMIN) as api:
        answer: httpx.Response = await api.get("/WhoAmI")
    assert answer.status_code == 501
    assert "versions of the Web API" in answer.json()["error"]["message"]
