"""Where the Azure portal shows what the app reported: its workbook, and the logs of a run. Pure."""

from __future__ import annotations

import base64
import gzip
from typing import Final
from urllib.parse import quote

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
