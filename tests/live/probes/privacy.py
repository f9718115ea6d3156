"""What a report may show of an answer: kinds and shapes of values, never the values (pure)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote

# Columns that Microsoft's table references and this project's documents name. Others are the customer's: they are counted.
KNOWN = frozenset(
    {
        "createdon", "modifiedon", "versionnumber", "partitionid", "ttlinseconds", "importsequencenumber", "statecode",
        "overriddencreatedon", "statuscode", "timezoneruleversionnumber", "utcconversiontimezonecode", "_ownerid_value",
        "_owningbusinessunit_value", "_owninguser_value", "_owningteam_value", "_createdby_value", "_modifiedby_value",
        "_createdonbehalfby_value", "_modifiedonbehalfby_value", "msdynci_customerprofileid", "msdynci_customerid",
        "msdynci_alternatekeyid", "msdynci_alternatevalue", "msdynci_datasourcename", "msdynci_entityname",
        "msdynci_tablename", "msdynci_identifier", "msdynci_keyring", "_msdynci_lookupfield_customer_value",
        "msdynci_lookupfield_customerpid", "_msdynci_lookupfield_customerprofile_value",
        "msdynci_lookupfield_customerprofilepid", "contactid", "leadid", "opportunityid", "accountid", "systemuserid",
    }
)  # fmt: skip
_GUID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_KINDS = (
    ("GUID in lower case", re.compile(rf"(?=.*[a-f]){_GUID}|[\d-]{{36}}")),
    ("GUID in upper case", re.compile(r"[0-9A-F]{8}-(?:[0-9A-F]{4}-){3}[0-9A-F]{12}")),
    ("GUID of mixed case", re.compile(_GUID, re.IGNORECASE)),
    ("GUID in braces", re.compile(rf"\{{{_GUID}\}}", re.IGNORECASE)),
    ("32 hexadecimal digits in lower case", re.compile(r"[0-9a-f]{32}")),
    ("32 hexadecimal digits in upper case", re.compile(r"[0-9A-F]{32}")),
)
_SCHEMA_QUERY = re.compile(r"^(EntityDefinitions|RetrieveTotalRecordCount|RetrieveCurrentOrganization|sdkmessage)")
_TEXT_LIMIT = 200


def describe_value(value: Any) -> str:
    """Return the kind of one value, such as 'GUID in lower case'."""
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int():
            return f"integer of {len(str(abs(value)))} digits"
        case str():
            return _describe_text(value)
        case _:
            return {float: "number", list: "list", dict: "object"}.get(type(value), "another kind")


def _describe_text(text: str) -> str:
    if not text:
        return "empty text"
    if found := _TIME.fullmatch(text):
        return "time with a fraction" if found[1] else "time in whole seconds"
    return next((kind for kind, pattern in _KINDS if pattern.fullmatch(text)), "text")


def describe_kinds(values: Iterable[Any]) -> str:
    """Return the kinds of some values, the most frequent first: 'null' or 'GUID in lower case, null'."""
    return ", ".join(kind for kind, _ in Counter(map(describe_value, values)).most_common())


def describe_body(body: Any) -> str:
    """Return the shape of an answer: number of rows, known columns with their kinds, how many others."""
    if not isinstance(body, dict):
        return describe_value(body)
    if "error" in body:
        return "error"
    rows = body["value"] if isinstance(body.get("value"), list) else [body]
    more = [name.removeprefix("@odata.") for name in body if name in _MARKS]
    shape = f"{len(rows)} {'row' if len(rows) == 1 else 'rows'}" if "value" in body else "one object"
    return "; ".join(filter(None, (shape, _describe_rows(rows), ", ".join(more))))


_MARKS = ("@odata.nextLink", "@odata.deltaLink", "@odata.count")


def _describe_rows(rows: list[Any]) -> str:
    objects = [row for row in rows if isinstance(row, dict)]
    names = list(dict.fromkeys(name for row in objects for name in row if "@" not in name))
    known = [
        f"{name}: {describe_kinds(row[name] for row in objects if name in row)}" for name in names if name in KNOWN
    ]
    others = len(names) - len(known)
    return ", ".join([*known, *([f"{others} more"] if others else [])])


def hide_literals(path: str, headers: Mapping[str, str] | None = None) -> str:
    """Return a request as the report shows it: texts, keys and cookies in it are replaced by '…'.

    Names of tables and columns stay, also where they are compared with in a query of definitions.
    """
    text = unquote(path.rpartition("/api/data/v9.2/")[2])
    if not _SCHEMA_QUERY.match(text):
        text = re.sub(r"'(?:[^']|'')*'", "'…'", text)
        text = re.sub(r'\[".*?"\]', lambda found: f"['…' x {found[0].count(chr(34)) // 2}]", text)
        text = re.sub(r"(?i)([?&](?:partitionid|\$skiptoken|\$deltatoken)=)[^&]*", r"\1…", text)
        text = re.sub(r"(['…\w]+ eq '…')(?: or \1)+", r"\1 or …", text)
    text = re.sub(rf"{_GUID}|{_TIME.pattern}|\b\d{{7,}}\b", "…", text, flags=re.IGNORECASE)
    text = re.sub(r"(\S+ eq …)(?: or \1)+", r"\1 or …", text)
    shown = [f"{name}: {'…' if name == 'MSCRM.SessionToken' else value}" for name, value in (headers or {}).items()]
    return f"GET {text}" + (f" [{'; '.join(shown)}]" if shown else "")


def hide_values(text: str, values: Iterable[str]) -> str:
    """Return a text of the environment without anything that rows brought: identifiers, quoted texts and known values."""
    text = re.sub(rf"{_GUID}|\b[0-9a-f]{{32}}\b", "…", text, flags=re.IGNORECASE)
    for value in sorted({value for value in values if len(value) > 2}, key=len, reverse=True):
        if value.casefold() in text.casefold():
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "…", text, flags=re.IGNORECASE)
    return text if len(text) <= _TEXT_LIMIT else text[:_TEXT_LIMIT] + "…"
