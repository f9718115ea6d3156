"""Steps of the tests about kinds of tables: switches, profiles, and a lookup to them on contact."""

from sandbox.runtime import Environment
from sandbox.switches.config import SandboxConfig, changed
from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.steps import Json, create, create_lookup

PROFILES = "msdynci_customerprofiles"
MAPPINGS = "msdynci_alternatekeys"
LINK = "_new_customerprofile_value"
LABEL = f"{LINK}@OData.Community.Display.V1.FormattedValue"
PID = "new_customerprofilepid"
ANNOTATED = {"Prefer": 'odata.include-annotations="*"'}
NO_CASCADE = {"Delete": "NoCascade"}


def of_kind(kind: str, **switches: object) -> SandboxConfig:
    """Return switches for profile and mapping tables of one kind."""
    return changed(SandboxConfig(), {"profile_table": kind, "mapping_table": kind, **switches})


def switch(environment: Environment, **switches: object) -> None:
    """Change switches of a running sandbox."""
    environment.configure(changed(environment.config, switches))


async def add_profiles(api: Client, *customer_ids: str, **values: object) -> list[str]:
    """Create profiles and return their ids."""
    return [await create(api, PROFILES, msdynci_customerid=one, **values) for one in customer_ids]


async def add_profiles_in(api: Client, partition: str, *customer_ids: str) -> list[str]:
    """Create profiles in a partition and return their ids."""
    found = []
    for number, customer_id in enumerate(customer_ids, 1):
        profile = f"{number:08d}-0000-4000-8000-000000000000"
        row = {"msdynci_customerprofileid": profile, "msdynci_customerid": customer_id, "partitionid": partition}
        assert (await api.post(PROFILES, json=row)).status_code == 204
        found.append(profile)
    return found


async def add_link_column(api: Client) -> None:
    """Create the lookup to the profile on contact."""
    answer = await create_lookup(api, CascadeConfiguration=NO_CASCADE)
    assert answer.status_code == 204, answer.text


async def contact_bound_to(api: Client, reference: str) -> str:
    """Create a contact with the lookup bound to a reference and return its id."""
    return await create(api, "contacts", **{"new_CustomerProfile@odata.bind": reference})


async def link_of(api: Client, contact: str) -> tuple[object, object, object]:
    """Return the value, the label (None without one) and the partition of a contact's lookup."""
    url = f"contacts({contact})?$select={LINK},{PID}"
    row: Json = (await api.get(url, headers=ANNOTATED)).json()
    return row[LINK], row.get(LABEL), row[PID]
