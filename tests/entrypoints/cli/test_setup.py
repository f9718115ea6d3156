"""`linker setup` and `approve`: what they say, and that looking writes nothing."""

import json
from collections.abc import Iterator
from uuid import UUID

import httpx
import pytest

from linker.adapters.dataverse import Connection, Dataverse
from linker.core.errors import ConfigurationError
from linker.core.model import Mode, Run, Status
from linker.core.serialization import to_json
from linker.entrypoints.cli.app_client import AppClient, RefusedError
from linker.entrypoints.cli.connection import Talk
from linker.entrypoints.cli.setup import Order, carry_out, whose
from linker.settings import AppAccess
from sandbox.identity.accounts import ADMIN, LINKER, NEWCOMER
from sandbox.webapi.security.organization import LINKER_ROLE
from sandbox.webapi.security.privileges import privilege_id
from tests.fakes.sandboxed import Sandboxed, sandboxed
from tests.fakes.world import StaticTokens
from tests.sandbox.webapi.steps import create, read

USERS = f"systemusers?$select=fullname&$filter=applicationid eq {NEWCOMER.client_id}"


@pytest.fixture
def world() -> Iterator[Sandboxed]:
    with sandboxed() as made:
        yield made


@pytest.fixture
def admin(world: Sandboxed) -> Dataverse:
    return world.dataverse_as(ADMIN)


async def told(world: Sandboxed, admin: Dataverse, *, yes: bool = False, **order: object) -> str:
    asked = Order(NEWCOMER.client_id, **{"tables": ("contact",), "role": "Least"} | order)  # type: ignore[arg-type]
    said: list[str] = []
    await carry_out(admin, world.deps.settings, asked, Talk(dry_run=not yes, yes=yes, write=said.append))
    return "\n".join(said)


async def test_a_dry_run_only_says_what_is_left_to_do(world: Sandboxed, admin: Dataverse) -> None:
    text = await told(world, admin)
    assert "To do:\n  1. create the application user" in text
    assert text.endswith("Nothing was written.")
    assert (await read(world.admin, USERS))["value"] == []


async def test_it_does_it_once_and_undoes_it_once(world: Sandboxed, admin: Dataverse) -> None:
    done = await told(world, admin, yes=True)
    assert "To do:\n  1. create the application user" in done
    assert done.endswith("Done.")
    assert "Nothing to do:" in await told(world, admin, yes=True)
    assert (await told(world, admin, undo=True)).endswith("Nothing was written.")
    undone = await told(world, admin, undo=True, yes=True)
    assert "To do:\n  1. take the role 'Least' from the user" in undone
    assert undone.endswith("Done.")
    assert "Nothing to undo." in await told(world, admin, undo=True, yes=True)


async def test_the_result_for_programs_says_what_was_done(world: Sandboxed, admin: Dataverse) -> None:
    order = Order(NEWCOMER.client_id, ("contact",), "Least")
    silent = Talk(yes=True, write=lambda line: None)
    first = await carry_out(admin, world.deps.settings, order, silent)
    again = await carry_out(admin, world.deps.settings, order, silent)
    assert (first["done"], again["done"], again["steps"]) == (True, False, ())
    assert first["steps"][0].startswith("create the application user")


@pytest.mark.parametrize("yes", [False, True], ids=["dry run", "for real"])
async def test_a_table_that_does_not_exist_is_refused_before_anything_is_written(
    world: Sandboxed, admin: Dataverse, yes: bool
) -> None:
    with pytest.raises(ConfigurationError, match=r"no table 'contcat'\. Nothing was written\."):
        await told(world, admin, tables=("contact", "contcat"), yes=yes)
    assert (await read(world.admin, USERS))["value"] == []


async def test_measures_may_be_read_only_when_that_is_asked_for(world: Sandboxed, admin: Dataverse) -> None:
    assert "prvReadmsdynci_customermeasure" not in await told(world, admin)
    assert "prvReadmsdynci_customermeasure" in await told(world, admin, measures=True, yes=True)
    assert "Nothing to do" in await told(world, admin, measures=True, yes=True)
    assert "Nothing to do" in await told(world, admin, yes=True)


async def test_when_dataverse_does_not_answer_it_says_that_it_may_be_repeated(world: Sandboxed) -> None:
    def nobody(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    silent = httpx.AsyncClient(transport=httpx.MockTransport(nobody))
    dataverse = Dataverse(Connection("http://dataverse", silent, StaticTokens()))
    with pytest.raises(ConfigurationError, match=r"could not be reached.*Repeat the command when Dataverse answers"):
        await told(world, dataverse, yes=True)


async def test_a_user_who_may_not_do_it_learns_that_nothing_was_written(world: Sandboxed) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        await told(world, world.dataverse_as(LINKER), yes=True)
    text = str(refusal.value)
    assert text.startswith(f"It could not create the application user of client id {NEWCOMER.client_id}: Dataverse ans")
    assert "prvCreateSystemUser" in text
    assert "Nothing was written. Run it as a System Administrator" in text


async def test_a_user_who_may_not_do_all_of_it_learns_how_far_it_came(world: Sandboxed, admin: Dataverse) -> None:
    await told(world, admin, yes=True)
    await told(world, admin, yes=True, undo=True)
    right = {"PrivilegeId": privilege_id("prvWriteSystemUser"), "Depth": "3"}
    path = f"roles({LINKER_ROLE})/Microsoft.Dynamics.CRM.AddPrivilegesRole"
    assert (await world.admin.post(path, json={"Privileges": [right]})).is_success
    with pytest.raises(ConfigurationError, match=r"Done before: enable the application user, which is disabled\."):
        await told(world, world.dataverse_as(LINKER), yes=True)


async def test_without_tables_those_of_the_mapping_count(world: Sandboxed, admin: Dataverse) -> None:
    assert "Tables     none: no unification yet" in await told(world, admin, tables=())
    for name in ("Lead", "loyalty"):
        names = {"msdynci_datasourcename": "crm", "msdynci_entityname": name}
        await create(world.admin, "msdynci_alternatekeys", **names, msdynci_alternatevalue="1")
    assert "Tables     lead\n" in await told(world, admin, tables=())


def test_without_an_identity_it_asks_whose_user_it_is(world: Sandboxed) -> None:
    with pytest.raises(ConfigurationError, match=r"client id of the app's identity is missing\. Nothing was written"):
        whose(None, world.deps.settings)
    assert whose(None, world.using(client_id="a").deps.settings) == "a"
    assert whose(UUID(int=1), world.using(client_id="a").deps.settings) == str(UUID(int=1))


def test_an_approval_is_asked_of_the_app() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if str(request.url) == "https://app/api/tables/contact/approve":
            assert json.loads(request.content) == {"digest": "0123456789abcdef"}
            return httpx.Response(202, json=to_json(Run("r1", Mode.INCREMENTAL, Status.QUEUED)))
        return httpx.Response(404)

    access = AppAccess.model_validate({"url": "https://app"})
    with AppClient(access, httpx.MockTransport(answer)) as app:
        assert app.approve("contact", "0123456789abcdef").id == "r1"
        with pytest.raises(RefusedError):
            app.approve("contact/../../runs", "0123456789abcdef")
