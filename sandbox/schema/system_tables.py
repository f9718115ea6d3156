"""Solutions, plug-in steps and processes, with the names of Microsoft's table reference."""

from collections.abc import Iterator
from typing import Final

from sandbox.schema.column_types import Column, Option
from sandbox.schema.columns import T, choice, flags, lookup, text, texts, whole
from sandbox.schema.definition import define_table
from sandbox.schema.model import Table

_STEP_STATE: Final = (
    Column("statecode", T.STATE, "StateCode", options=(Option(0, "Enabled"), Option(1, "Disabled"))),
    Column("statuscode", T.STATUS, "StatusCode", options=(Option(1, "Enabled"), Option(2, "Disabled"))),
)


def solution_tables() -> Iterator[Table]:
    """Yield publishers, solutions and views."""
    yield define_table(
        "publisher",
        [*texts("uniquename", "friendlyname", "customizationprefix"), *whole("customizationoptionvalueprefix")],
        entity_set="publishers",
        primary_name="friendlyname",
        schema_name="Publisher",
        object_type_code=7101,
    )
    yield define_table(
        "solution",
        [
            *texts("uniquename", "friendlyname", "version"),
            *flags("ismanaged", "isvisible"),
            lookup("publisherid", "publisher", schema_name="PublisherId"),
        ],
        entity_set="solutions",
        primary_name="friendlyname",
        schema_name="Solution",
        object_type_code=7100,
    )
    yield define_table(
        "savedquery",
        [
            *texts("name", "returnedtypecode"),
            Column("description", T.MEMO),
            Column("fetchxml", T.MEMO, max_length=1_073_741_823),
            Column("layoutxml", T.MEMO, max_length=1_073_741_823),
            *whole("querytype"),
            *flags("isdefault"),
        ],
        entity_set="savedqueries",
        schema_name="SavedQuery",
        display_name="View",
        object_type_code=1039,
        privileges_of="Query",
    )


def plugin_tables() -> Iterator[Table]:
    """Yield messages and plug-in steps (docs/reference/dataverse.md 9.1)."""
    yield _sdkmessage()
    yield _sdkmessagefilter()
    yield _plugintype()
    yield _sdkmessageprocessingstep()


def _sdkmessage() -> Table:
    return define_table(
        "sdkmessage",
        [text("name", "Name", indexed=True), text("categoryname")],
        entity_set="sdkmessages",
        schema_name="SdkMessage",
        object_type_code=4606,
    )


def _sdkmessagefilter() -> Table:
    return define_table(
        "sdkmessagefilter",
        [
            text("primaryobjecttypecode", indexed=True),
            text("name"),
            lookup("sdkmessageid", "sdkmessage"),
            *whole("availability"),
            *flags("iscustomprocessingstepallowed", "isvisible"),
        ],
        entity_set="sdkmessagefilters",
        schema_name="SdkMessageFilter",
        object_type_code=4607,
    )


def _plugintype() -> Table:
    return define_table(
        "plugintype",
        texts("name", "typename", "assemblyname", "friendlyname"),
        entity_set="plugintypes",
        schema_name="PluginType",
        object_type_code=4602,
    )


def _sdkmessageprocessingstep() -> Table:
    return define_table(
        "sdkmessageprocessingstep",
        [
            text("name", length=256),
            Column("filteringattributes", T.MEMO, max_length=100_000),
            Column("configuration", T.MEMO, max_length=1_000_000),
            Column("description", T.MEMO),
            *whole("stage", "rank", "supporteddeployment", "customizationlevel", "invocationsource"),
            choice("mode", "Synchronous", "Asynchronous"),
            *flags("ismanaged", "canbebypassed", "asyncautodelete"),
            Column("ishidden", T.MANAGED, "IsHidden"),
            Column("iscustomizable", T.MANAGED, "IsCustomizable"),
            lookup("sdkmessageid", "sdkmessage"),
            lookup("sdkmessagefilterid", "sdkmessagefilter"),
            lookup("plugintypeid", "plugintype"),
            lookup("eventhandler", "plugintype"),
            lookup("impersonatinguserid", "systemuser"),
            *_STEP_STATE,
        ],
        entity_set="sdkmessageprocessingsteps",
        schema_name="SdkMessageProcessingStep",
        object_type_code=4608,
    )


def process_tables() -> Iterator[Table]:
    """Yield workflows, the triggers of flows, and system jobs (docs/reference/dataverse.md 9.2, 9.3)."""
    yield define_table(
        "workflow",
        [
            *texts("name", "uniquename", "primaryentity"),
            Column("triggeronupdateattributelist", T.MEMO, max_length=100_000),
            Column("clientdata", T.MEMO, max_length=1_000_000),
            *whole("category", "type", "mode", "scope"),
            *flags("triggeroncreate", "triggerondelete", "ismanaged"),
            Column("statecode", T.STATE, "StateCode"),
            Column("statuscode", T.STATUS, "StatusCode"),
            lookup("ownerid", "systemuser"),
        ],
        entity_set="workflows",
        schema_name="Workflow",
        display_name="Process",
        object_type_code=4703,
    )
    yield define_table(
        "callbackregistration",
        [
            *texts("name", "entityname", "url"),
            Column("filteringattributes", T.MEMO, max_length=100_000),
            Column("filterexpression", T.MEMO, max_length=100_000),
            *whole("message", "scope", "runas", "softdeletestatus", "version"),
            lookup("ownerid", "systemuser"),
        ],
        entity_set="callbackregistrations",
        schema_name="CallbackRegistration",
        object_type_code=301,
    )
    yield define_table(
        "asyncoperation",
        [text("name"), *whole("operationtype", "statecode", "statuscode"), text("messagename")],
        entity_set="asyncoperations",
        schema_name="AsyncOperation",
        display_name="System Job",
        object_type_code=4700,
    )
