"""What an environment shows of itself: metadata, privileges, headers, and refusals before it looks at a row."""

from __future__ import annotations

from dataclasses import dataclass, replace

from linker.adapters.dataverse import Dataverse, Meter, metadata, users
from linker.adapters.dataverse.registered_automations import automations
from linker.core import odata
from linker.core.errors import ConfigurationError, TransientError
from linker.core.permissions.privileges import (
    ACT_FOR_OTHERS,
    BYPASS,
    CREATE_COLUMN,
    READ_METADATA,
    Depth,
    Need,
    of_table,
)
from tests.live.check import Unanswered, check
from tests.live.site import Site

_PREFLIGHT = "Preflight would ask in vain, or answer wrongly. Report what it says."


@check(
    "docs/reference/dataverse.md 2.3",
    claim="sdkmessagefilters say that a custom table has UpdateMultiple.",
    expected="supported",
    advice="The linker falls back on single updates in batches: right, and slower. Report it.",
)
async def update_multiple_is_listed(site: Site) -> str:
    return "supported" if await metadata.supports_update_multiple(site.dataverse, site.own.row) else "not listed"


@check(
    "docs/reference/dataverse.md 8.3",
    claim="A table is found by its logical, schema and entity set name, and by its key.",
    expected="by all four",
    advice="The linker may not recognise the table behind a source: declare it in LINKER_SOURCES, and report it.",
)
async def finding_tables(site: Site) -> str:
    table = site.rows
    names = {"logical name": table.logical_name, "schema name": table.schema_name, "set": table.entity_set}
    found = {what: await metadata.find_tables(site.dataverse, name) for what, name in names.items()}
    found["key"] = await metadata.tables_of_key(site.dataverse, table.primary_id)
    missed = [what for what, tables in found.items() if table.logical_name not in {t.logical_name for t in tables}]
    return f"not by {', '.join(missed)}" if missed else "by all four"


@check(
    "docs/reference/dataverse.md 9",
    claim="Plug-in steps, workflows and triggers of flows can be read as the linker asks for them.",
    expected="readable",
    advice="Preflight cannot say what a link would fire. Report what it says.",
)
async def what_a_link_fires(site: Site) -> str:
    await automations(site.dataverse, site.own.row)
    return "readable"


@check(
    "docs/reference/dataverse.md 11",
    claim="Metadata names the privileges of a table by right.",
    expected="Append, Read, Write",
    advice=_PREFLIGHT,
)
async def privileges_of_a_table(site: Site) -> str:
    found = await users.of_tables(site.dataverse, of_table(site.own.row))
    wanted = {need.right for need in of_table(site.own.row)}
    return ", ".join(sorted(right for _, right in found if right in wanted))


@check(
    "docs/reference/dataverse.md 10, 11",
    claim="The privileges that belong to no table exist under the names that the linker asks for.",
    expected="all of them",
    advice="Preflight would ask for a privilege that does not exist. Report the names.",
)
async def privileges_by_name(site: Site) -> str:
    names = (*READ_METADATA, *CREATE_COLUMN, BYPASS, ACT_FOR_OTHERS)
    found = await users.of_no_table(site.dataverse, [Need("", name, "") for name in names])
    missed = [name for name in names if ("", name) not in found]
    return f"not {', '.join(missed)}" if missed else "all of them"


@check(
    "docs/reference/dataverse.md 11",
    claim="RetrieveUserPrivileges returns names and levels.",
    expected="names and levels",
    advice=_PREFLIGHT,
)
async def privileges_of_a_user(site: Site) -> str:
    return _levels(await users.read_privileges(site.dataverse, await site.dataverse.user()))


@check(
    "docs/reference/dataverse.md 11",
    claim="RetrieveRolePrivilegesRole returns ids and levels.",
    expected="names and levels",
    advice="'python -m linker setup' cannot see what its role holds. Report what it says.",
)
async def privileges_of_a_role(site: Site) -> str:
    path = f"systemusers({await site.dataverse.user()})/systemuserroles_association"
    roles = (await site.dataverse.get(path + odata.query(select="roleid", top=1)))["value"]
    if not roles:
        raise Unanswered("You hold roles only through a team: sign in as a user who holds a role.")
    return _levels(await users.role_depths(site.dataverse, roles[0]["roleid"]))


def _levels(held: dict[str, Depth]) -> str:
    unknown = [name for name, depth in held.items() if depth is Depth.NONE]
    return f"{len(unknown)} without a level" if unknown or not held else "names and levels"


@check(
    "docs/reference/dataverse.md 1.4",
    claim="Answers carry x-ms-dop-hint, a number.",
    expected="present",
    advice="Nothing: without the hint a run begins at its default width and feels its way (docs/performance.md).",
    harmless=True,
)
async def a_hint_of_parallelism(site: Site) -> str:
    asked = Dataverse(site.dataverse.connection, Meter())
    await asked.get("WhoAmI")
    return "present" if asked.meter.dop_hint else "missing"


@check(
    "docs/reference/dataverse.md 1.2",
    claim="A 429 carries Retry-After in seconds.",
    expected="seconds",
    advice="A date is understood too. Without the header the linker waits 30 s.",
    harmless=True,
)
async def retry_after(site: Site) -> str:
    if not site.refusals:
        raise Unanswered("Nothing was throttled meanwhile, and to provoke it would slow you down elsewhere.")
    shapes = {"absent" if said is None else "seconds" if said.isdecimal() else "a date" for said in site.refusals}
    return ", ".join(sorted(shapes))


@dataclass(frozen=True, slots=True)
class _NoToken:
    """A text that is not a token."""

    async def token(self) -> str:
        return "none"

    def forget(self) -> None:
        """There is nothing to forget."""


@check(
    "docs/reference/dataverse.md 13.2",
    claim="A text that is not a token is refused with 401.",
    expected="401",
    advice="A token that ended during a run might end the run instead of being renewed. Report what it says.",
)
async def a_bad_token(site: Site) -> str:
    stranger = Dataverse(replace(site.dataverse.connection, tokens=_NoToken()))
    try:
        await stranger.user()
    except TransientError as error:
        return "401" if "(401)" in str(error) else str(error)
    return "accepted"


@check(
    "docs/reference/dataverse.md 13.3",
    claim="An identity that is not a user of the environment is refused with 0x80072560.",
    expected="refused so",
    advice="The app would not say that its user is missing. Add the code to error_classification.NO_MEMBER, and report it.",
)
async def a_stranger(site: Site) -> str:
    if site.stranger is None:
        raise Unanswered("Give --stranger, the client id of a managed identity that is not a user there.")
    try:
        await site.stranger.user()
    except ConfigurationError:
        return "refused so"
    return "accepted"


CHECKS = (
    update_multiple_is_listed,
    finding_tables,
    what_a_link_fires,
    privileges_of_a_table,
    privileges_by_name,
    privileges_of_a_user,
    privileges_of_a_role,
    a_hint_of_parallelism,
    a_bad_token,
    a_stranger,
    retry_after,  # at the end: whatever was throttled before it counts
)
