"""`linker view`: its own view and no other, on the sandbox's Web API."""

from collections.abc import AsyncIterator

import pytest

from linker.adapters.dataverse import Dataverse
from linker.core.errors import ConfigurationError, DataverseError
from linker.entrypoints.cli.connection import Talk
from linker.entrypoints.cli.view import Order, carry_out
from sandbox.identity.accounts import ADMIN
from sandbox.switches.config import SandboxConfig
from sandbox.switches.tables import TableKind
from sandbox.webapi.security.organization import LINKER_ROLE
from sandbox.webapi.security.privileges import privilege_id
from tests.fakes.measured import TABLE, Measured, measured
from tests.sandbox.webapi.steps import Json, create, read

VIEWS = "savedqueries?$select=name,fetchxml,returnedtypecode,querytype,layoutxml"
NAME = "Leads with customer profile"
WANTED = ("msdynci_leadscore", "msdynci_supportissue.msdynci_lastmonth")
PRIVILEGES = ("prvCreateQuery", "prvWriteQuery", "prvPublishCustomization")


STANDARD = SandboxConfig(profile_table="standard", mapping_table="standard")
"""The kind of tables that lists can join."""


@pytest.fixture
async def world() -> AsyncIterator[Measured]:
    async with measured(STANDARD) as made:
        yield made


@pytest.mark.parametrize("dry_run", [False, True], ids=["for real", "dry run"])
@pytest.mark.parametrize("kind", ["elastic", "virtual"])
async def test_a_profile_table_that_is_not_standard_is_refused_and_nothing_is_written(
    kind: TableKind, dry_run: bool
) -> None:
    async with measured(SandboxConfig(profile_table=kind)) as world:
        with pytest.raises(ConfigurationError, match=rf"Nothing was written, .* {kind} table and lists cannot join it"):
            await told(world, dry_run=dry_run)
        assert await stored(world) == []


async def told(
    world: Measured, *columns: str, dataverse: Dataverse | None = None, dry_run: bool = False, **order: object
) -> str:
    asked = Order(TABLE, columns or WANTED, **order)  # type: ignore[arg-type]
    user = dataverse or world.sandboxed.dataverse_as(ADMIN)
    said: list[str] = []
    talk = Talk(dry_run=dry_run, yes=not dry_run, write=said.append)
    await carry_out(user, world.sandboxed.deps.settings, asked, talk)
    return "\n".join(said)


async def stored(world: Measured) -> list[Json]:
    found: list[Json] = (await read(world.sandboxed.admin, VIEWS))["value"]
    return found


async def opened(world: Measured) -> dict[str, Json]:
    """Open the only view as a user would; returns its rows by id."""
    (view,) = await stored(world)
    rows = (await read(world.sandboxed.admin, f"leads?savedQuery={view['savedqueryid']}"))["value"]
    return {row["leadid"]: row for row in rows}


async def test_a_dry_run_prints_the_view_and_writes_nothing(world: Measured) -> None:
    text = await told(world, dry_run=True)
    assert "Would be (nothing was written):" in text
    assert '<attribute name="msdynci_leadscore" />' in text
    assert '<cell name="msdynci_supportissue.msdynci_lastmonth"' in text
    assert await stored(world) == []


async def test_a_view_shows_what_the_rows_reach_and_keeps_those_without_a_link(world: Measured) -> None:
    text = await told(world)
    (view,) = await stored(world)
    assert (view["name"], view["returnedtypecode"], view["querytype"]) == (NAME, TABLE, 0)
    assert (
        "Created and published.\nOpen it: https://org.example/main.aspx?etn=lead&pagetype=entitylist"
        f"&viewid=%7b{view['savedqueryid']}%7d&viewtype=1039"
        in (text.replace(world.sandboxed.deps.settings.dataverse_url, "https://org.example"))
    )
    assert "Note       A row comes once for each row that msdynci_supportissue has" in text
    assert "Note       Customer Insights cannot remove a profile column" in text
    assert "cannot remove" not in await told(world, "msdynci_supportissue.msdynci_lastmonth", dry_run=True)
    rows = await opened(world)
    linked = rows[world.row]
    assert linked["profile.msdynci_leadscore"] == world.measures.lead_score
    assert linked["msdynci_supportissue.msdynci_lastmonth"] == world.measures.issues_last_month
    assert rows[world.other].keys() == {"@odata.etag", "leadid", "fullname"}


async def test_repeating_it_writes_nothing_and_other_columns_update_its_own_view(world: Measured) -> None:
    await told(world)
    (before,) = await stored(world)
    assert "Nothing to do: the view shows this already." in await told(world)
    assert await stored(world) == [before]
    assert "Updated and published." in await told(world, "msdynci_loyaltytier")
    (after,) = await stored(world)
    assert after["savedqueryid"] == before["savedqueryid"]
    assert (await opened(world))[world.row]["profile.msdynci_loyaltytier"] == world.profile["msdynci_loyaltytier"]


async def test_a_view_of_another_user_stays_as_it_is(world: Measured) -> None:
    await create(world.sandboxed.admin, "savedqueries", name=NAME.upper(), returnedtypecode=TABLE, fetchxml="<theirs/>")
    before = await stored(world)
    with pytest.raises(
        ConfigurationError, match=r"did not make\. Nothing was written\. Choose another name with --name"
    ):
        await told(world)
    assert await stored(world) == before
    assert "Created" in await told(world, name="Ours")


async def test_the_same_name_on_another_table_is_nobodys_business(world: Measured) -> None:
    await create(world.sandboxed.admin, "savedqueries", name=NAME, returnedtypecode="contact")
    assert "Created" in await told(world)


async def test_an_unknown_column_is_refused_with_a_suggestion(world: Measured) -> None:
    with pytest.raises(ConfigurationError, match="Did you mean msdynci_leadscore"):
        await told(world, "msdynci_leadscores")
    assert await stored(world) == []


@pytest.mark.parametrize(
    ("table", "words"),
    [
        pytest.param("nothing", "no table 'nothing'", id="no table"),
        pytest.param("contact", "no lookup to the profile yet", id="not linked yet"),
        pytest.param("lead'", "not a valid Dataverse name", id="no name"),
    ],
)
async def test_a_table_that_cannot_have_one_is_refused(world: Measured, table: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as refused:
        order = Order(table, ("msdynci_leadscore",))
        await carry_out(world.sandboxed.dataverse_as(ADMIN), world.sandboxed.deps.settings, order, Talk(yes=True))
    assert "Nothing was written" in str(refused.value)


async def grant(world: Measured, *names: str) -> None:
    body = {"Privileges": [{"PrivilegeId": privilege_id(name), "Depth": "3"} for name in names]}
    path = f"roles({LINKER_ROLE})/Microsoft.Dynamics.CRM.AddPrivilegesRole"
    (await world.sandboxed.admin.post(path, json=body)).raise_for_status()


async def test_a_missing_privilege_is_named_with_what_was_written(world: Measured) -> None:
    limited = world.sandboxed.dataverse
    with pytest.raises(ConfigurationError, match=r"lacks prvCreateQuery\. Nothing was written"):
        await told(world, dataverse=limited)
    await grant(world, "prvCreateQuery")
    with pytest.raises(ConfigurationError, match=r"saved and not published: .*prvPublishCustomization"):
        await told(world, dataverse=limited)
    assert len(await stored(world)) == 1
    await grant(world, *PRIVILEGES)
    assert "Updated and published." in await told(world, "msdynci_loyaltytier", dataverse=limited)


async def test_a_view_that_changed_since_it_was_looked_at_is_not_overwritten(world: Measured) -> None:
    await told(world)
    (view,) = await stored(world)

    class Late(Dataverse):
        """Another administrator changes the view between the read and the write."""

        async def get(self, path: str, **how: object) -> object:  # type: ignore[override]
            answer = await super().get(path, **how)  # type: ignore[arg-type]
            if path.startswith("savedqueries"):
                await world.sandboxed.admin.patch(f"savedqueries({view['savedqueryid']})", json={"name": "Theirs"})
            return answer

    late = Late(world.sandboxed.dataverse_as(ADMIN).connection)
    with pytest.raises(DataverseError, match="412"):
        await told(world, "msdynci_loyaltytier", dataverse=late)
    assert [found["name"] for found in await stored(world)] == ["Theirs"]
