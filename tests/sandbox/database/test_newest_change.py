"""The newest change of the mapping and of profiles is found at once, however many rows are of the same second."""

from collections.abc import Sequence
from contextlib import closing

import pytest

from sandbox.database import Database
from sandbox.database.dialect import Dialect
from sandbox.database.select import Query, select_page
from sandbox.database.values import Stored
from sandbox.query.parser import parse_filter
from sandbox.query.syntax import Order, Path
from sandbox.schema.insights_tables import MAPPING, PROFILES
from sandbox.switches.config import SandboxConfig
from sandbox.switches.tables import TableKind

OTHERS = "_modifiedby_value ne 5a1d0c1e-7b1f-4c6b-9a51-0d1b2f6f3001 or _modifiedby_value eq null"
KINDS: tuple[TableKind, ...] = ("elastic", "standard")


class Explained(Database):
    """A database that notes how it finds the rows of each query."""

    def execute(self, sql: str, parameters: Sequence[Stored] = ()) -> list[tuple[Stored, ...]]:
        if sql.startswith("SELECT"):
            self.steps = [str(step[-1]) for step in super().execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
        return super().execute(sql, parameters)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("column", ["modifiedon", "versionnumber"])
@pytest.mark.parametrize(("name", "text"), [(MAPPING, ""), (PROFILES, ""), (PROFILES, OTHERS)])
def test_the_newest_rows_come_in_the_order_of_an_index(kind: TableKind, column: str, name: str, text: str) -> None:
    """Nothing is sorted: with a million rows of one second that took a second for each question."""
    config = SandboxConfig(profile_table=kind, mapping_table=kind)
    with closing(Explained(config=config)) as database:
        table = database.schema.tables[name]
        wanted = [table.columns[part] for part in ("modifiedon", "versionnumber")]
        newest = (Order(Path((column,)), descending=True),)
        query = Query(table, wanted, parse_filter(text) if text else None, newest, limit=50)
        select_page(database, database.schema, query, Dialect())
        steps = database.steps
    assert [step for step in steps if "TEMP B-TREE" in step] == []
    assert any("USING" in step and "INDEX" in step for step in steps), steps
