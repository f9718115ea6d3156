"""With LINKER_IMPERSONATE every shape of request is made in another user's name (docs/reference/dataverse.md 11)."""

from collections.abc import Iterator

import pytest

from linker import bootstrap
from linker.adapters.dataverse import Dataverse, lookup_column, metadata
from linker.adapters.dataverse.probing import read_tables
from linker.adapters.dataverse.web_api import BYPASS
from linker.core.keys import row_key
from linker.core.model import Link, Target
from linker.settings import Settings
from sandbox.identity.accounts import ADMIN, LINKER, VENDOR
from sandbox.webapi.security.organization import LINKER_ROLE
from sandbox.webapi.security.privileges import ACT_ON_BEHALF, privilege_id
from tests.fakes.requests import URL
from tests.fakes.sandboxed import Sandboxed, sandboxed
from tests.sandbox.webapi.steps import create, read


@pytest.fixture
def world() -> Iterator[Sandboxed]:
    with sandboxed() as made:
        yield made


@pytest.fixture
async def acting(world: Sandboxed) -> Dataverse:
    """The linker, which may act for others, acting for the vendor's user."""
    body = {"Privileges": [{"PrivilegeId": privilege_id(ACT_ON_BEHALF), "Depth": "3"}]}
    await world.admin.post(f"roles({LINKER_ROLE})/Microsoft.Dynamics.CRM.AddPrivilegesRole", json=body)
    return world.dataverse_as(LINKER, CallerObjectId=VENDOR.object_id)


async def written_by(world: Sandboxed, contact: str) -> tuple[str, str | None]:
    row = await read(world.admin, f"contacts({contact})")
    return row["_modifiedby_value"], row["_modifiedonbehalfby_value"]


@pytest.mark.parametrize("bulk", [True, False], ids=["UpdateMultiple", "PATCH in a batch"])
async def test_every_write_is_in_the_users_name(world: Sandboxed, acting: Dataverse, bulk: bool) -> None:
    admin = world.dataverse_as(ADMIN)
    (table,) = await metadata.find_tables(world.dataverse, "contact")
    lookup = await lookup_column.create(admin, table, None, (await read_tables(admin))[0])
    contact = await create(world.admin, "contacts")
    profile = await create(world.admin, "msdynci_customerprofiles", msdynci_customerid="c1")
    key = row_key(contact)
    assert key is not None
    target = Target("contact", "contacts", "contactid", lookup, bulk)
    assert await acting.write_links(target, {key: Link(profile)}) == {}
    assert await written_by(world, contact) == (VENDOR.systemuser_id, LINKER.systemuser_id)
    links = await acting.links(target, [key])
    assert links[key].link == Link(profile)
    await acting.clear_links(target, {key: links[key].etag})
    assert await written_by(world, contact) == (VENDOR.systemuser_id, LINKER.systemuser_id)


async def test_reads_in_a_batch_are_in_the_users_name_as_well(world: Sandboxed, acting: Dataverse) -> None:
    path = "systemusers?$select=fullname&$filter=Microsoft.Dynamics.CRM.EqualUserId(PropertyName='systemuserid')"
    ((me,),) = await acting.read_all([path])
    assert me["fullname"] == VENDOR.full_name


@pytest.mark.parametrize(
    ("given", "always", "writes"),
    [
        pytest.param({}, {}, {}, id="neither"),
        pytest.param({"impersonate": VENDOR.object_id}, {"CallerObjectId": VENDOR.object_id}, {}, id="impersonation"),
        pytest.param({"automations": "bypass"}, {}, BYPASS, id="bypass goes with writes alone"),
    ],
)
def test_settings_become_headers(given: dict[str, str], always: dict[str, str], writes: dict[str, str]) -> None:
    settings = Settings.model_validate({"dataverse_url": URL, "storage": "UseDevelopmentStorage=true"} | given)
    deps = bootstrap.build(settings)
    assert (deps.connection.extra_headers, deps.write_headers) == (always, writes)
