"""Reads a folder of CSV files, named by logical table name, as a finished unification.

`environment.json` beside them holds the answers of the Customer Insights API. A file whose key is no guid is a source
that took part in unification and is no Dataverse table: nothing is made of it.
"""

import csv
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from sandbox.config import MappingNameColumn
from sandbox.dataset import MAPPING, PROFILES, Dataset, TableData
from sandbox.schema.model import Column


class FolderError(ValueError):
    """The folder does not hold a unification; nothing was loaded. The message says what is missing."""


def read_folder(folder: Path) -> Dataset:
    """Return what a folder holds. Rows are read when they are loaded.

    Raises FolderError if the mapping, the profiles or environment.json is missing or has another form.
    """
    files = {path.stem: path for path in sorted(folder.glob("*.csv"))}
    for needed in (MAPPING, PROFILES):
        if needed not in files:
            raise FolderError(f"{folder / needed}.csv is missing. It holds what Customer Insights - Data wrote.")
    environment = _environment(folder / "environment.json")
    return Dataset(
        tables=tuple(data for data in map(_table_data, files.values()) if data is not None),
        instance=environment["instance"],
        datasources=environment["datasources"],
        mapping_name_column=_mapping_name_column(files[MAPPING]),
    )


def _environment(path: Path) -> dict[str, Any]:
    try:
        environment = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FolderError(f"{path} cannot be read: {error}") from error
    if not isinstance(environment, dict) or not {"instance", "datasources"} <= environment.keys():
        raise FolderError(f"{path} must hold 'instance' and 'datasources'.")
    return environment


def _mapping_name_column(path: Path) -> MappingNameColumn:
    header = _header(path)
    names: tuple[MappingNameColumn, ...] = ("msdynci_tablename", "msdynci_entityname")
    for name in names:
        if name in header:
            return name
    raise FolderError(f"{path} has neither msdynci_tablename nor msdynci_entityname.")


def _table_data(path: Path) -> TableData | None:
    name, header = path.stem, _header(path)
    key = f"{name}id" if f"{name}id" in header else next(iter(header), "")
    if not _is_guid(next(_rows(path), {}).get(key, "")):
        return None
    columns = tuple(Column(column) for column in header if column != key)
    return TableData(name, partial(_rows, path), columns, key=key)


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return next(csv.reader(file), [])


def _rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


def _is_guid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
