"""What is registered on updates of a table: steps, workflows, rules, triggers of flows (docs/reference/dataverse.md 9)."""

from __future__ import annotations

from itertools import chain
from typing import NotRequired, TypedDict

from linker.adapters.dataverse.client import Dataverse
from linker.adapters.dataverse.response_models import read
from linker.core import odata
from linker.core.permissions.automations import BULK_MESSAGE, Automation, Kind

READ_TABLES = ("sdkmessage", "sdkmessagefilter", "sdkmessageprocessingstep", "workflow", "callbackregistration")
"""Tables that have to be readable for this."""

_STAGES = frozenset({10, 20, 40})  # those that others than the platform can register for
_OFFLINE_ONLY = 1
_RULE = 2
_ON_UPDATE = (3, 4, 6, 7)  # messages of a callback registration that include Modified
_MESSAGES = f"(sdkmessageid/name eq 'Update' or sdkmessageid/name eq '{BULK_MESSAGE}')"
# Level 0 is the platform itself: it runs on every table and is never bypassed, so it says nothing about this one.
_CUSTOM = f"statecode eq 0 and customizationlevel eq 1 and {_MESSAGES}"
_STEP_COLUMNS = "name,filteringattributes,stage,mode,supporteddeployment,canbebypassed"
_STEP_PARENTS = "sdkmessageid($select=name),sdkmessagefilterid($select=primaryobjecttypecode)"


class _Message(TypedDict):
    name: str


class _Scope(TypedDict, total=False):
    primaryobjecttypecode: str


class _Step(TypedDict):
    sdkmessageprocessingstepid: str
    sdkmessageid: _Message
    name: str | None
    stage: int
    mode: int
    filteringattributes: str | None
    sdkmessagefilterid: NotRequired[_Scope | None]
    supporteddeployment: NotRequired[int | None]
    canbebypassed: NotRequired[bool | None]


class _Workflow(TypedDict):
    workflowid: str
    name: str | None
    category: int
    mode: int | None
    triggeronupdateattributelist: str | None
    ismanaged: NotRequired[bool | None]


class _Flow(TypedDict):
    callbackregistrationid: str
    name: str | None
    filteringattributes: str | None


async def automations(dataverse: Dataverse, table: str) -> tuple[Automation, ...]:
    """Return what is registered and active, whatever its filtering attributes. Raises DataverseError when not readable."""
    found = [*await _steps(dataverse, table), *await _workflows(dataverse, table), *await _flows(dataverse, table)]
    return tuple(sorted(found, key=lambda automation: (automation.kind, automation.name)))


async def _steps(dataverse: Dataverse, table: str) -> list[Automation]:
    """Steps of the table, of those for which the filter says 'none', and of those without any filter row: all tables."""
    code = "sdkmessagefilterid/primaryobjecttypecode"
    scopes = (f"({code} eq {odata.literal(table)} or {code} eq 'none')", "_sdkmessagefilterid_value eq null")
    rows = chain.from_iterable([await _rows(dataverse, _steps_in(scope), _Step) for scope in scopes])
    return [_step(row) for row in rows if row["stage"] in _STAGES and row.get("supporteddeployment") != _OFFLINE_ONLY]


def _steps_in(scope: str) -> str:
    query = odata.query(select=_STEP_COLUMNS, expand=_STEP_PARENTS, filter=f"{_CUSTOM} and {scope}")
    return "sdkmessageprocessingsteps" + query


def _step(row: _Step) -> Automation:
    scope = row.get("sdkmessagefilterid") or {}
    return Automation(
        name=row["name"] or "",
        kind=Kind.STEP,
        message=row["sdkmessageid"]["name"],
        asynchronous=row["mode"] == 1,
        columns=_list_names(row["filteringattributes"]),
        every_table=scope.get("primaryobjecttypecode", "none") == "none",
        bypassable=row.get("canbebypassed") is not False,
        id=row["sdkmessageprocessingstepid"],
    )


async def _workflows(dataverse: Dataverse, table: str) -> list[Automation]:
    wanted = (
        f"type eq 1 and statecode eq 1 and primaryentity eq {odata.literal(table)} and (category eq 0 or category eq 2)"
    )
    select = "name,category,mode,triggeronupdateattributelist,ismanaged"
    path = "workflows" + odata.query(select=select, filter=wanted)
    return [_workflow(row) for row in await _rows(dataverse, path, _Workflow)]


def _workflow(row: _Workflow) -> Automation:
    """A managed one may be Microsoft's own, which no header bypasses (docs/reference/dataverse.md 10). Nothing says whose."""
    rule = row["category"] == _RULE
    return Automation(
        name=row["name"] or "",
        kind=Kind.RULE if rule else Kind.WORKFLOW,
        asynchronous=not rule and row["mode"] == 0,
        columns=() if rule else _list_names(row["triggeronupdateattributelist"]),
        bypassable=not row.get("ismanaged"),
        id=row["workflowid"],
    )


async def _flows(dataverse: Dataverse, table: str) -> list[Automation]:
    messages = " or ".join(f"message eq {message}" for message in _ON_UPDATE)
    wanted = (
        f"(softdeletestatus eq 0 or softdeletestatus eq null) and entityname eq {odata.literal(table)} and ({messages})"
    )
    path = "callbackregistrations" + odata.query(select="name,filteringattributes", filter=wanted)
    return [_flow(row) for row in await _rows(dataverse, path, _Flow)]


def _flow(row: _Flow) -> Automation:
    return Automation(
        name=row["name"] or "",
        kind=Kind.FLOW,
        asynchronous=True,
        columns=_list_names(row["filteringattributes"]),
        id=row["callbackregistrationid"],
    )


async def _rows[T](dataverse: Dataverse, path: str, kind: type[T]) -> list[T]:
    return [read(kind, row) async for page in dataverse.rows(path) for row in page]


def _list_names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip().lower() for name in (text or "").split(",") if name.strip())
