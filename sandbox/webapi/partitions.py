"""Names what the sandbox does not keep of elastic rows: partitions and lifetimes (dataverse.md 15)."""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote

from sandbox.schema.model import Table
from sandbox.webapi.errors import not_supported

_UNSUPPORTED: Final = {
    "partitionid": "partitionid: rows of elastic tables by partition",
    "ttlinseconds": "ttlinseconds: rows of elastic tables that expire",
}
_NAME: Final = re.compile(rf"\b({'|'.join(_UNSUPPORTED)})\b", re.IGNORECASE)


def check_url(table: Table, path: str, query: str) -> None:
    """Raise the 501 answer for a URL of elastic rows that names a partition or a lifetime."""
    found = _NAME.search(unquote(f"{path}?{query}")) if table.elastic else None
    if found:
        raise not_supported(_UNSUPPORTED[found[1].lower()])


def check_properties(table: Table, names: Iterable[str]) -> None:
    """Raise the 501 answer if a payload or key of elastic rows names a partition or a lifetime."""
    for name in names:
        if table.elastic and name in _UNSUPPORTED:
            raise not_supported(_UNSUPPORTED[name])
