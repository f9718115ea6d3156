"""The lookup from a mapping row to its profile, which Customer Insights - Data may fill or not: no source settles it."""

from typing import Final

from sandbox.database import Database, ddl
from sandbox.schema.insights_tables import CUSTOMER, MAPPING, PROFILES
from sandbox.switches.tables import CustomerLinks

_MIXED: Final = "{key} >= X'80'"
_WRONG: Final = "{key} < X'20'"
"""Which rows are filled, and which name another profile: by the first byte of a random key, so always the same ones."""


def fill_customer_links(database: Database, links: CustomerLinks) -> None:
    """Set the lookup of the mapping rows as the switch says; neither times nor versions change."""
    if links == "empty":
        return
    mapping, profiles = database.schema.tables[MAPPING], database.schema.tables[PROFILES]
    key, own = f"m.{ddl.quoted(mapping.primary_id)}", ddl.quoted(profiles.primary_id)
    named = "p.msdynci_customerid = m.msdynci_customerid"
    wanted = f"(SELECT p.{own} FROM {PROFILES} p WHERE {_same(database)} AND {named})"  # noqa: S608
    if links == "mixed":
        wanted = f"CASE WHEN {_MIXED.format(key=key)} THEN {wanted} END"
    if links == "wrong":
        other = f"(SELECT p.{own} FROM {PROFILES} p WHERE NOT {named} ORDER BY p.{own} LIMIT 1)"  # noqa: S608
        wanted = f"CASE WHEN {_WRONG.format(key=key)} THEN {other} ELSE {wanted} END"
    database.execute(f"UPDATE {MAPPING} AS m SET {CUSTOMER} = {wanted} WHERE {CUSTOMER} IS NOT {wanted}")  # noqa: S608


def _same(database: Database) -> str:
    """Return the comparison of CustomerIds that the index of the profiles serves."""
    column = database.schema.tables[PROFILES].columns["msdynci_customerid"]
    order = ddl.order_of(column, database.string_order)
    return f"{ddl.sort_expression(column, order, 'p.')} = {ddl.key_expression(order, 'm.msdynci_customerid')}"
