"""One operation on its way through the Web API: the request, who sends it, and the schema that it sees."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from sandbox.database import Stamp
from sandbox.database.collation import guid_key, guid_text
from sandbox.database.dialect import Dialect
from sandbox.database.security import grants_of
from sandbox.database.staleness import as_stale_readers_see
from sandbox.runtime import Environment
from sandbox.schema.column_types import Column
from sandbox.schema.model import Schema, Table
from sandbox.webapi.protocol.errors import segment_not_found
from sandbox.webapi.protocol.messages import ApiRequest
from sandbox.webapi.security.privileges import Caller, ColumnRight, effective_caller, may_use, require

_AFTER_ALL: Final = b"\xff" * 17


@dataclass(frozen=True, slots=True)
class Call:
    """What a handler needs. `schema` may lag behind without `Consistency: Strong` (docs/reference/dataverse.md 8.2)."""

    environment: Environment
    request: ApiRequest
    schema: Schema
    caller: Caller

    @property
    def api_url(self) -> str:
        """The root of the Web API under the host that the client asked, which every link of the answer repeats."""
        return self.environment.api_url_at(self.request.address)

    @property
    def dialect(self) -> Dialect:
        """How conditions are understood for this caller."""
        config = self.environment.config
        return Dialect(
            string_order=config.string_order,
            guid_ranges=config.guid_ranges,
            user=self.caller.user,
            joins=config.elastic_expand,
            text_in=config.elastic_in == "allow",
            text_ranges=config.elastic_ranges == "allow",
            lookup_filters=config.elastic_lookup_filter == "allow",
            partitions=config.partition_shown,
            least_profile=self._least_profile,
            readable=lambda table, column: self.may_use("read", table, column),
        )

    @property
    def is_administrator(self) -> bool:
        """Whether the caller has the role System Administrator."""
        return grants_of(self.environment.database, self.caller.user).everything

    @property
    def _least_profile(self) -> bytes | None:
        """The first profile that the caller sees, None for all: other business units' rows are an administrator's."""
        hidden = self.environment.config.hidden_profiles
        if not hidden or self.is_administrator:
            return None
        return round(hidden * 0xFFFF).to_bytes(2) if hidden < 1 else _AFTER_ALL

    def seen(self, table: Table) -> Table:
        """Return a table with the rows that the caller sees: old ones without the session token of a write."""
        if not table.elastic or self.request.headers.get("mscrm.sessiontoken"):
            return table
        return as_stale_readers_see(self.environment.database, table)

    @property
    def stamp(self) -> Stamp:
        """Who writes and when."""
        return Stamp(self.environment.clock(), self.caller.user, self.caller.on_behalf)

    @property
    def user_id(self) -> str:
        """The guid text of the effective user."""
        return guid_text(self.caller.user)

    def table_of_set(self, entity_set: str) -> Table:
        """Return the table of an entity set. Raises the 404 answer."""
        table = self.schema.by_entity_set(entity_set)
        if table is None:
            raise segment_not_found(entity_set)
        return table

    def may_use(self, right: ColumnRight, table: Table, column: Column) -> bool:
        """Return whether column security lets the caller create, read or update a column."""
        return may_use(self.environment, self.caller, right, table.logical_name, column)

    def require(self, verb: str, *tables: Table) -> None:
        """Check a privilege such as Read on tables. Raises the 403 answer."""
        for table in tables:
            require(self.environment, self.caller, table.privilege(verb), table)


def open_call(environment: Environment, request: ApiRequest) -> Call:
    """Return the call of a request; `request.caller` is the systemuser id of the bearer.

    Raises the 403 answer for an impersonation that is not allowed.
    """
    schema = environment.database.schema
    lag = environment.config.metadata_lag_s
    if lag and not (request.strong and environment.config.strong_consistency):
        informed = request.server if environment.config.metadata_lag_scope == "other_servers" else None
        schema = environment.database.schema_as_of(environment.clock() - timedelta(seconds=lag), informed)
    caller = effective_caller(environment, guid_key(request.caller), request.headers)
    return Call(environment, request, schema, caller)
