"""P14: whether the query language of Cosmos DB reads the two tables, and who may use it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import httpx

from linker.core import odata
from linker.core.names import MAPPING_TABLE, PROFILE_TABLE
from tests.live.probes.points import Point, Result, probe
from tests.live.probes.privacy import describe_value
from tests.live.probes.scene import CUSTOMER, Scene
from tests.live.probes.wire import Answer, Asker

SYSTEM_ADMINISTRATOR = "627090ff-40a3-4053-8790-584edc5be201"  # the role's template, the same in every environment
COSMOS = Point("cosmos-query-of-profiles", "2.3", "Does ExecuteCosmosSqlQuery read the profile table?")
COSMOS_MAPPING = Point("cosmos-query-of-the-mapping", "2.3", "Does ExecuteCosmosSqlQuery read the mapping table?")
COSMOS_CALLERS = Point(
    "cosmos-query-of-a-reader",
    "2.3",
    "May an account that is not a System Administrator call ExecuteCosmosSqlQuery?",
    "cosmos_sql",
    {"yes": "readers", "no": "administrators"},
)


@probe("P14", "The query language of Cosmos DB", (COSMOS, COSMOS_MAPPING, COSMOS_CALLERS))
async def ask_cosmos(ask: Asker, scene: Scene) -> Sequence[Result]:
    profiles = await ask.get(_cosmos(PROFILE_TABLE))
    mapping = await ask.get(_cosmos(MAPPING_TABLE))
    return (
        COSMOS.settle(describe_cosmos(profiles), profiles.text),
        COSMOS_MAPPING.settle(describe_cosmos(mapping), mapping.text),
        describe_callers(profiles, await _own_roles(ask)),
    )


def _cosmos(table: str) -> str:
    text = f"select top 1 c.props.{CUSTOMER} as a from c"  # noqa: S608  # a name of our own
    names = "QueryText=@p1,EntityLogicalName=@p2,PageSize=@p3"
    return f"ExecuteCosmosSqlQuery({names})?@p1={quote(odata.literal(text), safe='')}&@p2={odata.literal(table)}&@p3=1"


def describe_cosmos(answer: Answer) -> str:
    """Return whether the query brought a result, or how it was refused."""
    if not answer.is_ok:
        return f"refused: {answer.refusal}"
    body: Mapping[str, Any] = answer.body if isinstance(answer.body, dict) else {}
    return f"works, Result is {describe_value(body['Result'])}" if "Result" in body else "an answer of another shape"


async def _own_roles(ask: Asker) -> Answer:
    """Return the roles that the account holds itself. Roles of its teams are not among them."""
    account = await ask.get("WhoAmI")
    if not account.is_ok:
        return account
    path = f"systemusers({account.body['UserId']})/systemuserroles_association"
    return await ask.get(path + odata.query(select="roletemplateid"))


def describe_callers(answer: Answer, roles: Answer) -> Result:
    """Return what the answer to one account says about accounts that are not administrators.

    An account without roles of its own acts through a team, whose roles are not asked for. Only 403 is a matter of
    privileges: another refusal says nothing about who may call.
    """
    if not roles.is_ok:
        return COSMOS_CALLERS.leave_open(f"The roles of this account cannot be read: {roles.refusal}.")
    if not roles.rows:
        return COSMOS_CALLERS.leave_open(
            "This account holds roles only through a team: ask as a user who holds a role."
        )
    if any(str(row.get("roletemplateid")).lower() == SYSTEM_ADMINISTRATOR for row in roles.rows):
        return COSMOS_CALLERS.leave_open("This account is a System Administrator: ask as the app's own account.")
    if answer.is_ok:
        return COSMOS_CALLERS.settle("yes")
    if answer.status == httpx.codes.FORBIDDEN:
        return COSMOS_CALLERS.settle(f"no: {answer.refusal}", answer.text)
    return COSMOS_CALLERS.leave_open(f"The function was refused for another reason: {answer.refusal}.")


PROBES = (ask_cosmos,)
