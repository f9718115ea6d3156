"""Tokens: what can be mended is told with what to do, what passes is worth another try."""

from typing import Any

import pytest
from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError

from linker.bootstrap import Tokens
from linker.errors import ConfigurationError, LinkerError, TransientError


class Refusing:
    """A credential that gives no token."""

    def __init__(self, error: AzureError) -> None:
        self.error = error

    async def get_token(self, *_: Any) -> Any:
        raise self.error


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        pytest.param(ClientAuthenticationError("No identity."), ConfigurationError, "az login", id="no identity"),
        pytest.param(ServiceRequestError("No route."), TransientError, "could not be reached", id="nobody answers"),
    ],
)
async def test_a_token_that_cannot_be_had_is_told(error: AzureError, kind: type[LinkerError], words: str) -> None:
    tokens = Tokens("https://contoso.crm4.dynamics.com", None)
    tokens._credential = Refusing(error)  # type: ignore[assignment]
    with pytest.raises(kind, match=words):
        await tokens.token()
