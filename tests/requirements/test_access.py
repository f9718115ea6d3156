"""Column security and privileges below organization level: preflight names them, and a run does what preflight says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import httpx
import pytest

from linker.core.errors import ConfigurationError
from linker.core.model import Status
from linker.core.names import LOOKUP_SCHEMA_NAME
from linker.deps import Deps
from linker.services.preflight_checks import look
from sandbox.database import Database, Stamp, bulk_load
from sandbox.database.collation import guid_key
from sandbox.database.security import associate, grant_privileges
from sandbox.identity.accounts import LINKER
from sandbox.runtime import Environment
from sandbox.schema.columns import lookup
from sandbox.schema.model import ManyToMany, metadata_id
from sandbox.server.app import Sandbox
from sandbox.webapi.security.organization import LINKER_ROLE
from sandbox.webapi.security.privileges import privilege_id
from tests.requirements.made import CRM_CONTACTS, CRM_LEADS, Made, running
from tests.requirements.situations import with_column
from tests.requirements.test_environments import surveyed

MAPPING, PROFILE = "msdynci_alternatekey", "msdynci_customerprofile"
LINKED = Made(fed=(CRM_CONTACTS, CRM_LEADS))
type Where = Literal["nowhere", "run", "table", "warning"]


def with_lookup(environment: Environment) -> None:
    """Give contact the lookup column."""
    with_column(lookup(LOOKUP_SCHEMA_NAME, PROFILE, schema_name="msdynci_LookupField_CustomerProfile"))(environment)


def secured(table: str, column: str, *rights: str) -> Callable[[Environment], None]:
    """Turn column security on, and give the linker rights on the column."""

    def change(environment: Environment) -> None:
        if column == LOOKUP_SCHEMA_NAME:
            with_lookup(environment)
        database = environment.database
        known = database.schema.tables[table]
        database.replace_table(known.with_columns([replace(known.columns[column], secured=True)]))
        permit(database, Stamp(environment.clock(), bytes(16)), table, column, rights)

    return change


def permit(database: Database, stamp: Stamp, table: str, column: str, rights: tuple[str, ...]) -> None:
    profile = metadata_id("profile", table, column)
    allowed = {f"can{right}": 4 if right in rights else 0 for right in ("create", "read", "update")}
    permission = {"fieldpermissionid": metadata_id("permission", table, column), "fieldsecurityprofileid": profile}
    named = {"entityname": table, "attributelogicalname": column}
    bulk_load(database, "fieldsecurityprofile", [{"fieldsecurityprofileid": profile, "name": column}], stamp)
    bulk_load(database, "fieldpermission", [permission | named | allowed], stamp)
    pairs = database.schema.relationships["systemuserprofiles_association"]
    assert isinstance(pairs, ManyToMany)
    associate(database, pairs, [(guid_key(LINKER.systemuser_id), guid_key(profile))])


def held(privilege: str, depth: str) -> Callable[[Environment], None]:
    """Let the linker hold a privilege at another level."""
    return lambda environment: grant_privileges(
        environment.database, guid_key(LINKER_ROLE), [(guid_key(privilege_id(privilege)), depth)]
    )


@dataclass(frozen=True, slots=True)
class Case:
    change: Callable[[Environment], None]
    where: Where
    words: tuple[str, ...] = ()
    settings: Mapping[str, object] | None = None


PROFILE_ADVICE = "Add it to a column security profile that allows this"
CASES: dict[str, Case] = {
    "lookup, nothing allowed": Case(
        secured("contact", LOOKUP_SCHEMA_NAME),
        "table",
        ("read permission on secured column", "update permission on secured column", PROFILE_ADVICE),
    ),
    "lookup, update missing": Case(
        secured("contact", LOOKUP_SCHEMA_NAME, "read", "create"),
        "table",
        (f"lacks update permission on secured column '{LOOKUP_SCHEMA_NAME}' of table 'contact'", PROFILE_ADVICE),
    ),
    "lookup, read missing": Case(
        secured("contact", LOOKUP_SCHEMA_NAME, "update"),
        "table",
        ("lacks read permission", "needed to see which links are stored", PROFILE_ADVICE),
    ),
    "lookup, all that is needed": Case(secured("contact", LOOKUP_SCHEMA_NAME, "read", "update"), "nowhere"),
    "a column that links do not need": Case(secured("contact", "jobtitle"), "nowhere"),
    **{
        f"mapping, {column}": Case(
            secured(MAPPING, column), "run", (f"'{column}' of table '{MAPPING}'", PROFILE_ADVICE)
        )
        for column in ("msdynci_datasourcename", "msdynci_entityname", "msdynci_alternatevalue", "msdynci_customerid")
    },
    "mapping, allowed": Case(secured(MAPPING, "msdynci_alternatevalue", "read"), "nowhere"),
    "profile's CustomerId": Case(
        secured(PROFILE, "msdynci_customerid"), "run", (f"'msdynci_customerid' of table '{PROFILE}'", PROFILE_ADVICE)
    ),
    "profile's CustomerId, read allowed, no touch": Case(
        secured(PROFILE, "msdynci_customerid", "read"), "nowhere", settings={"touch_profiles": False}
    ),
    "profile's CustomerId, read allowed, touch": Case(
        secured(PROFILE, "msdynci_customerid", "read"),
        "warning",
        ("needed to touch profiles", PROFILE_ADVICE),
        {"touch_profiles": True},
    ),
    **{
        f"{privilege} at {depth}": Case(
            held(privilege, depth),
            where,
            (f"{privilege} on table", f"(held: {level})", "Rows that are shared with it do not replace the level"),
        )
        for depth, level in (("Basic", "user"), ("Local", "business unit"), ("Deep", "parent: child business units"))
        for privilege, where in (
            ("prvReadContact", "table"),
            ("prvWriteContact", "table"),
            ("prvAppendContact", "table"),
            (f"prvRead{PROFILE}", "run"),
            (f"prvAppendTo{PROFILE}", "run"),
            (f"prvRead{MAPPING}", "run"),
        )
    },
}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    found: Case = request.param
    yield found


async def test_preflight_and_run_say_the_same_of_what_the_account_may_not_do(case: Case) -> None:
    with running(LINKED.but(after=case.change, settings=case.settings or {})) as (deps, _, _world):
        picture = await look(deps)
        outcomes = {table.table: table.outcome for table in picture.tables}
        if case.where == "run":
            assert (picture.severity, outcomes) == ("blocked", {})
            with pytest.raises(ConfigurationError) as refused:
                await surveyed(deps)
            told = [picture.detail, str(refused.value)]
        else:
            run = await surveyed(deps)
            contact, lead = run.tables
            expected = ("refused", Status.FAILED) if case.where == "table" else ("ready", Status.QUEUED)
            assert (outcomes["contact"], contact.status) == expected
            assert (outcomes["lead"], lead.status) == ("ready", Status.QUEUED)
            told = [" ".join(picture.warnings), " ".join(run.warnings)]
            if case.where == "nowhere":
                assert "lacks" not in " ".join(told)
    for words in case.words:
        assert all(words in text for text in told), words


class Without(httpx.ASGITransport):
    """A Web API whose function for permissions does not answer; `asked` counts its requests."""

    def __init__(self, sandbox: Sandbox, status: int = 200) -> None:
        super().__init__(sandbox.app)
        self.status, self.asked = status, 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if "RetrievePrincipalAttributePrivileges" not in str(request.url):
            return await super().handle_async_request(request)
        self.asked += 1
        if self.status == 200:
            return await super().handle_async_request(request)
        return httpx.Response(self.status, json={"error": {"code": "0x80040220", "message": "no"}})

    def serving(self, deps: Deps) -> Deps:
        """Return the linker before this Web API."""
        return replace(deps, connection=replace(deps.connection, client=httpx.AsyncClient(transport=self)))


@pytest.mark.parametrize("status", [403, 404, 501])
async def test_permissions_that_cannot_be_read_count_as_not_held(status: int) -> None:
    change = secured("contact", LOOKUP_SCHEMA_NAME, "read", "update")
    with running(LINKED.but(after=change)) as (deps, sandbox, _):
        picture = await look(Without(sandbox, status).serving(deps))
        assert {table.table: table.outcome for table in picture.tables} == {"contact": "refused", "lead": "ready"}
        assert f"(held: not known, since Dataverse answered {status})" in " ".join(picture.warnings)


@pytest.mark.parametrize(
    ("change", "times"),
    [
        pytest.param(secured("contact", "jobtitle"), 0, id="another column"),
        pytest.param(secured(MAPPING, "msdynci_customerid", "read"), 1, id="a column of every run"),
        pytest.param(secured("contact", LOOKUP_SCHEMA_NAME, "read", "update"), 1, id="a lookup"),
    ],
)
async def test_permissions_are_asked_for_only_where_a_needed_column_is_secured(
    change: Callable[[Environment], None], times: int
) -> None:
    with running(LINKED.but(after=change)) as (deps, sandbox, _):
        api = Without(sandbox)
        await look(api.serving(deps))
        assert api.asked == times
