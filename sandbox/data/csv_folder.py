"""Reads a folder of CSV files, named by logical table name, as a finished unification.

`environment.json` beside them holds the answers of the Customer Insights API. A file whose key is not a guid is a source
that took part in unification and is not a Dataverse table: nothing is made of it.
"""

import json
import re
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from sandbox.data.csv_file import CsvFile, FolderError
from sandbox.data.lookup_column import LOOKUP
from sandbox.data.seed import Dataset, TableData
from sandbox.schema.builtin import builtin_schema
from sandbox.schema.column_types import Column
from sandbox.schema.definition import plural
from sandbox.schema.insights_tables import MAPPING, NAME_COLUMNS, PROFILES
from sandbox.switches.config import DEFAULTS

__all__ = ["FolderError", "read_folder"]

_NEEDED: Final = {
    MAPPING: (
        f"{MAPPING}id",
        "msdynci_datasourcename",
        "msdynci_alternatevalue",
        "msdynci_identifier",
        "msdynci_customerid",
    ),
    PROFILES: (f"{PROFILES}id", "msdynci_customerid"),
}
_LOGICAL_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")
_LOOKED_AT: Final = 100  # rows: a single damaged key makes no other table of a file


def read_folder(folder: Path) -> Dataset:
    """Return what a folder holds. Rows are read when they are loaded.

    Raises FolderError if the mapping, the profiles or environment.json is missing or has another form.
    """
    files = {path.stem.lower(): CsvFile(path) for path in sorted(folder.iterdir()) if path.suffix.lower() == ".csv"}
    for needed, columns in _NEEDED.items():
        if needed not in files:
            raise FolderError(f"{folder / needed}.csv is missing. It holds what Customer Insights - Data wrote.")
        _require(files[needed], columns)
    _require_name_column(files[MAPPING])
    environment = _environment(folder / "environment.json")
    keys = {name: _table_key(name, file) for name, file in files.items()}
    return Dataset(
        tables=tuple(_table_data(name, files[name], key) for name, key in keys.items() if key),
        instance=environment["instance"],
        datasources=environment["datasources"],
        outside=tuple(files[name].path.name for name, key in keys.items() if not key),
    )


def _require(file: CsvFile, columns: Iterable[str]) -> None:
    for column in columns:
        if column not in file.header:
            raise FolderError(f"{file.path} has no column {column}.")


def _require_name_column(file: CsvFile) -> None:
    if not set(NAME_COLUMNS) & set(file.header):
        raise FolderError(f"{file.path} has neither {' nor '.join(NAME_COLUMNS)}.")


def _table_key(name: str, file: CsvFile) -> str | None:
    """Return the key column of a Dataverse table, None for a source outside Dataverse.

    Raises FolderError if a table that Dataverse brings along has another key.
    """
    own = f"{name}id"
    if name in _NEEDED:
        return own
    key = own if own in file.header else next(iter(file.header), "")
    keys = [row[key] for row in islice(file.rows(), _LOOKED_AT)]
    if any(map(_is_guid, keys)) or (key == own and not keys):
        return key if _LOGICAL_NAME.fullmatch(name) else None
    if keys and name in builtin_schema(DEFAULTS).tables:
        raise FolderError(f"{file.path}: '{key}' holds no guid, but Dataverse's table {name} has the key {own}.")
    return None


def _table_data(name: str, file: CsvFile, key: str) -> TableData:
    columns = tuple(Column(column) for column in file.header if column not in {key, LOOKUP})
    return TableData(name, file.rows, columns, key=key, entity_set=_entity_set(name), linked=LOOKUP in file.header)


def _entity_set(name: str) -> str | None:
    """Return the plural for a table of Microsoft's; other custom tables have `<name>set`, which none may guess."""
    return plural(name) if "_" not in name or name.startswith("msdynci_") else None


def _is_guid(text: str | None) -> bool:
    try:
        UUID(text or "")
    except ValueError:
        return False
    return True


def _environment(path: Path) -> Mapping[str, Any]:
    try:
        environment = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise FolderError(f"{path} cannot be read: {error}") from error
    if not isinstance(environment, dict) or not {"instance", "datasources"} <= environment.keys():
        raise FolderError(f"{path} must hold 'instance' and 'datasources'.")
    if not isinstance(environment["instance"], dict) or not environment["instance"].get("instanceId"):
        raise FolderError(f"{path}: 'instance' must be an object with 'instanceId'.")
    if not isinstance(environment["datasources"], list) or not all(map(_is_source, environment["datasources"])):
        raise FolderError(f"{path}: 'datasources' must be a list of objects with 'dataSourceMetadata' and its 'name'.")
    return environment


def _is_source(source: object) -> bool:
    metadata = source.get("dataSourceMetadata") if isinstance(source, dict) else None
    return isinstance(metadata, dict) and isinstance(metadata.get("name"), str)
