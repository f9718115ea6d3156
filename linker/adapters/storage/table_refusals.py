"""What a refusal of Table Storage means and who can end it, by its error code. Pure.

Source: Microsoft Learn, "Table Storage error codes" and "Common REST API error codes".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_ROLE: Final = "Give the app's identity the role Storage Table Data Contributor on the account."
_CLOCK: Final = (
    "The account key is wrong, or the clock of this host differs by more than 15 minutes. Check the clock, then copy the "
    "connection string again."
)
_NETWORK: Final = (
    "The account's network rules refuse this app. Allow its network in Networking of the storage account, or connect the app "
    "to the account's virtual network."
)
_IDENTITY: Final = (
    "The account refused the token of the app's identity. Check that the identity belongs to the account's tenant, and the "
    "clock of this host."
)
_ADVICE: Final[Mapping[str, str]] = {
    "KeyBasedAuthenticationNotPermitted": "The account permits no account keys. Set LINKER_STORAGE__tableServiceUri instead "
    f"of LINKER_STORAGE. {_ROLE}",
    "AuthorizationFailure": _NETWORK,
    "AuthorizationSourceIPMismatch": _NETWORK,
    "PublicAccessNotPermitted": _NETWORK,
    "AuthorizationPermissionMismatch": _ROLE,
    "AuthorizationResourceTypeMismatch": _ROLE,
    "AuthorizationServiceMismatch": _ROLE,
    "InsufficientAccountPermissions": _ROLE,
    "InvalidAuthenticationInfo": _IDENTITY,
    "NoAuthenticationInformation": _IDENTITY,
    "AuthenticationFailed": _CLOCK,
    "AccountIsDisabled": "The storage account is disabled. Enable it, or its subscription.",
}


def advice_on_refusal(code: str) -> str:
    """Return what ends a lasting 401 or 403 with this error code."""
    return _ADVICE.get(code, f"{_ROLE} If it has the role, check the account's network rules.")
