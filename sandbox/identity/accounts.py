"""The accounts of the environment: application users and the managed identities behind them."""

from dataclasses import dataclass
from typing import Final

TENANT_ID: Final = "72f988bf-0000-4000-8000-2d7cd011db47"


@dataclass(frozen=True, slots=True)
class ApplicationUser:
    """A Dataverse application user (docs/reference/dataverse.md 11) and the managed identity behind it. Ids are guid texts."""

    name: str
    client_id: str
    object_id: str
    systemuser_id: str
    full_name: str
    domain_name: str


LINKER: Final = ApplicationUser(
    name="linker",
    client_id="5a1d0c1e-7b1f-4c6b-9a51-0d1b2f6f1001",
    object_id="5a1d0c1e-7b1f-4c6b-9a51-0d1b2f6f2001",
    systemuser_id="5a1d0c1e-7b1f-4c6b-9a51-0d1b2f6f3001",
    full_name="# Customer Profile Linker",
    domain_name="linker@contoso.onmicrosoft.com",
)
VENDOR: Final = ApplicationUser(
    name="insightsappsplatform",
    client_id="99ff962b-6252-4b98-8478-0c65a3ea1925",
    object_id="5a1d0c1e-7b1f-4c6b-9a51-0d1b2f6f2002",
    systemuser_id="5a1d0c1e-7b1f-4c6b-9a51-0d1b2f6f3002",
    full_name="# InsightsAppsPlatform",
    domain_name="InsightsAppsPlatform@onmicrosoft.com",
)
"""The account of Customer Insights - Data, with the application id that it has in every tenant."""
ADMIN: Final = ApplicationUser(
    name="admin",
    client_id="5a1d0c1e-7b1f-4c6b-9a51-0d1b2f6f1003",
    object_id="5a1d0c1e-7b1f-4c6b-9a51-0d1b2f6f2003",
    systemuser_id="5a1d0c1e-7b1f-4c6b-9a51-0d1b2f6f3003",
    full_name="# Sandbox Administrator",
    domain_name="admin@contoso.onmicrosoft.com",
)
APPLICATION_USERS: Final = (LINKER, VENDOR, ADMIN)
NEWCOMER: Final = ApplicationUser(
    name="newcomer",
    client_id="5a1d0c1e-7b1f-4c6b-9a51-0d1b2f6f1004",
    object_id="5a1d0c1e-7b1f-4c6b-9a51-0d1b2f6f2004",
    systemuser_id="",
    full_name="# Newcomer",
    domain_name="newcomer@contoso.onmicrosoft.com",
)
"""An identity that is not a user of the environment until a systemuser with its application ID exists."""


def find_identity(wanted: str, by: str = "client_id") -> ApplicationUser | None:
    """Return who has an id or a name, in any case."""
    users = (*APPLICATION_USERS, NEWCOMER)
    return next((user for user in users if wanted.lower() in (getattr(user, by), user.name)), None)
