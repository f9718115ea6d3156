"""Who the app is: a managed identity where the platform offers one, else the user who signed in on this machine."""

from collections.abc import Iterator

import pytest
from azure.identity.aio import DefaultAzureCredential

from linker.adapters.outgoing import Tokens, credential
from linker.core.errors import ConfigurationError
from sandbox.identity.accounts import LINKER, VENDOR, ApplicationUser
from tests.sandbox.identity.test_identity import AUDIENCES, ENDPOINT, ORG, listening


@pytest.fixture
def in_azure(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The platform offers a managed identity."""
    with listening() as url:
        monkeypatch.setenv("IDENTITY_ENDPOINT", url)
        monkeypatch.setenv("IDENTITY_HEADER", "secret")
        yield


@pytest.mark.parametrize(
    ("client_id", "user"),
    [pytest.param(None, LINKER, id="system-assigned"), pytest.param(VENDOR.client_id, VENDOR, id="user-assigned")],
)
async def test_in_azure_it_is_the_managed_identity(
    in_azure: None, client_id: str | None, user: ApplicationUser
) -> None:
    tokens = Tokens(ORG, client_id)
    assert ENDPOINT.authority.verify(f"Bearer {await tokens.token()}", AUDIENCES) is user
    await tokens.close()


async def test_an_identity_that_the_app_does_not_have_says_what_to_do(in_azure: None) -> None:
    tokens = Tokens(ORG, "5a1d0c1e-0000-4000-8000-000000000000")
    with pytest.raises(
        ConfigurationError, match="assign the managed identity to the app; locally, sign in with 'az login'"
    ):
        await tokens.token()
    await tokens.close()


async def test_on_one_machine_it_is_the_user_who_signed_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IDENTITY_ENDPOINT", raising=False)
    async with credential(None) as found:
        assert isinstance(found, DefaultAzureCredential)
