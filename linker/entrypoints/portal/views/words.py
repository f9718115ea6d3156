"""How numbers, times, status words, notices, and links into the Azure portal are written on every page. Pure.

The Azure portal shows what the app reported: its workbook, and the logs of a run.
"""

from __future__ import annotations

import base64
import gzip
import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote

from markupsafe import Markup, escape

from linker.core.model import Status
from linker.core.permissions.automations import describe

NONE: Final = "\N{EN DASH}"
MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400
# Each look has an icon and a colour in the style sheet; the word itself always stands beside them.
LOOKS: Final[Mapping[Status, str]] = {
    Status.NOT_STARTED: "idle",
    Status.QUEUED: "waiting",
    Status.REFRESHING: "busy",
    Status.SUCCESSFUL: "good",
    Status.WARNINGS: "warning",
    Status.RETRYING: "retrying",
    Status.FAILED: "bad",
    Status.SKIPPED: "skipped",
    Status.CANCELED: "canceled",
}

_DATA: Final = Markup('<data value="{}">{}</data>')
_CHANGE: Final = Markup('<data value="{:.1f}" data-show="change">{}</data>')
_DURATION: Final = Markup('<data value="{:.0f}" data-show="duration">{}</data>')


def number(value: float | None) -> str:
    """Return a number with separators, without digits behind the point from 10 on; a dash for none."""
    if value is None:
        return NONE
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.1f}" if abs(value) < 10 else f"{value:,.0f}"


def as_data(value: float | None) -> Markup:
    """Return a number for a page: as text, and as a value that the script writes as the reader's locale does."""
    text = number(value)
    return _DATA.format(text.replace(",", ""), text) if value is not None else escape(text)


def change_as_data(change: float | None) -> Markup:
    """Return a change in per cent for a page, likewise."""
    text = percentage(change)
    return _CHANGE.format(change, text) if change is not None else escape(text)


def duration(seconds: float | None) -> str:
    """Return a time span in its two largest units, such as '3 min 12 s'; a dash for none."""
    if seconds is None:
        return NONE
    whole = max(round(seconds), 0)
    units = ((whole // DAY_S, "d"), (whole % DAY_S // HOUR_S, "h"), (whole % HOUR_S // MINUTE_S, "min"))
    parts = [f"{count} {unit}" for count, unit in (*units, (whole % MINUTE_S, "s")) if count]
    return " ".join(parts[:2]) or "0 s"


def duration_as_data(seconds: float | None) -> Markup:
    """Return a time span for a page, likewise."""
    text = duration(seconds)
    return _DURATION.format(max(seconds, 0), text) if seconds is not None else escape(text)


def percentage(change: float | None) -> str:
    """Return a change in per cent with its sign; a dash for none."""
    return NONE if change is None else f"{change:+,.1f} %".replace("-", "\N{MINUS SIGN}")


def moment(stamp: str) -> str:
    """Return an ISO 8601 time in UTC as it is read, such as '2026-11-23 21:27:54 UTC'."""
    return f"{stamp[:10]} {stamp[11:19]} UTC"


def first_sentence(text: str) -> str:
    """Return a text up to the end of its first sentence; one ends where a blank and a capital letter follow.

    That nothing was written says no reason, so the sentence behind it is taken.
    """
    text = text.removeprefix("Nothing was written.").lstrip() or text
    found = re.match(r".+?[.!?](?=\s+[A-Z]|\s*$)", text, re.DOTALL)
    return found[0] if found else text


def look(status: Status) -> str:
    """Return how a status looks."""
    return LOOKS[status]


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "number": as_data,
    "duration": duration_as_data,
    "duration_text": duration,
    "percentage": change_as_data,
    "moment": moment,
    "look": look,
    "pair": lambda text: (text, text),
    "first_sentence": first_sentence,
    "described": describe,
}
"""By their names in templates."""


NOTICES: Final[Mapping[str, str]] = {
    "asked": "The run was asked for. These are its details.",
    "approved": "The first link is allowed, and a run was asked for. These are its details.",
    "canceled": "The run was asked to stop.",
    "paused": "Runs are paused. Requests wait until the pause ends.",
    "resumed": "Runs are resumed.",
    "over": "The run is over. There was nothing left to stop.",
}


# ---- links into the Azure portal ----

PORTAL: Final = "https://portal.azure.com/#@"
DAYS: Final = 90  # a run is kept for so long by default


def workbooks_url(workspace: str) -> str:
    """Return the address of the workbooks of a workspace, which is given by its resource id; "" without one."""
    return f"{PORTAL}/resource{workspace}/workbooks" if workspace else ""


def logs_url(workspace: str, run: str) -> str:
    """Return the address that runs the query for the log of a run in a workspace; "" without one.

    The portal takes a query as base64 of gzip, as its own *Share link* writes it.
    """
    if not workspace:
        return ""
    query = f'AppTraces\n| where tostring(Properties.run) == "{run}"\n| sort by TimeGenerated asc'
    packed = quote(base64.b64encode(gzip.compress(query.encode(), mtime=0)).decode(), safe="")
    blade = "blade/Microsoft_OperationsManagementSuite_Workspace/Logs.ReactView"
    source = "source/LogsBlade.AnalyticsShareLinkToQuery"
    return f"{PORTAL}/{blade}/resourceId/{quote(workspace, safe='')}/{source}/q/{packed}/timespan/P{DAYS}D"
