"""Table Storage as the state sees it: ports.Tables over Microsoft's client.

What the client and the service do otherwise is settled here: tables appear on first use, limits are checked before
sending, answers become the errors of linker.core.errors, whole numbers of 64 bits are plain ints.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final

from linker.adapters.storage.table_guards import MAX_BATCH, advice_on_refusal, batches, check_entity, is_int32, key_text
from linker.core.errors import (
    AlreadyThereError,
    ChangedError,
    ConfigurationError,
    LinkerError,
    StateError,
    TransientError,
)
from linker.core.ports import Entity, Properties, Value

if TYPE_CHECKING:  # Microsoft's packages cost 0.2 s to import: cold start
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.core.exceptions import AzureError
    from azure.data.tables.aio import TableClient, TableServiceClient

__all__ = ["AzureTables", "key_text"]

# The client's own defaults wait 300 s for an answer and try 10 times (docs/reference/azure.md 8.2).
_PATIENCE: Final[dict[str, Any]] = {"retry_total": 4, "connection_timeout": 5, "read_timeout": 30}
_ANSWER_S: Final = 180.0  # one request with all that the client repeats, so that an answer that trickles hangs nothing
_DEFAULT_WAIT_S: Final = 5.0
# A single 401 or 403 passes by itself: a role or network rule that is being applied, a front end that restarts.
_REFUSED_WAITS_S: Final = (0.5, 2.0)
_KEYS: Final = ("PartitionKey", "RowKey")


class _AbsentError(ChangedError):
    """404: the entity, or its table, is not there."""


class _RefusedError(ConfigurationError):
    """401 or 403: the account refuses the app, if it says so more than once."""


class AzureTables:
    """Table Storage by connection string, or by endpoint and credential (managed identity).

    A conditional write whose answer was lost is sent again by Microsoft's client, or by aiohttp below it, and is then
    refused because of its own first sending: linker.adapters.storage.table_guards recognizes it.
    """

    def __init__(
        self, *, connection_string: str = "", endpoint: str = "", credential: AsyncTokenCredential | None = None
    ) -> None:
        if bool(connection_string) == bool(endpoint) or bool(endpoint) != (credential is not None):
            raise ConfigurationError("Table Storage needs a connection string, or an endpoint with a credential.")
        self._connection_string = connection_string
        self._endpoint = endpoint
        self._credential = credential
        self._clients: dict[str, TableClient] = {}

    async def get(self, table: str, partition: str, row: str, *, select: Sequence[str] = ()) -> Entity | None:
        """See ports.Tables."""
        what = f"Reading {table} '{partition}' / '{row}'"
        try:
            client, wanted = self._client(table), list(select) or None
            found = await _ask_azure(what, lambda: client.get_entity(partition, row, select=wanted))
        except _AbsentError:
            return None
        return _from_azure(found, partition, row)

    async def insert(self, table: str, partition: str, row: str, properties: Properties) -> str:
        """See ports.Tables."""
        check_entity(partition, row, properties)
        client, entity = self._client(table), _to_azure(partition, row, properties)
        what = f"Inserting {table} '{partition}' / '{row}'"
        return _etag(await _creating_table(what, client, lambda: client.create_entity(entity)))

    async def replace(
        self, table: str, partition: str, row: str, properties: Properties, *, etag: str | None = None
    ) -> str:
        """See ports.Tables."""
        check_entity(partition, row, properties)
        client, entity = self._client(table), _to_azure(partition, row, properties)
        what = f"Replacing {table} '{partition}' / '{row}'"
        if etag is None:
            return _etag(await _creating_table(what, client, lambda: client.upsert_entity(entity, "replace")))
        return _etag(await _ask_azure(what, lambda: client.update_entity(entity, "replace", **_only_if(etag))))

    async def merge(self, table: str, partition: str, row: str, properties: Properties, *, etag: str) -> str:
        """See ports.Tables. Limits are checked for the named properties; what else is stored is not known here."""
        check_entity(partition, row, properties)
        client, entity = self._client(table), _to_azure(partition, row, properties)
        what = f"Merging {table} '{partition}' / '{row}'"
        return _etag(await _ask_azure(what, lambda: client.update_entity(entity, "merge", **_only_if(etag))))

    async def write_many(self, table: str, partition: str, rows: Sequence[tuple[str, Properties]]) -> None:
        """See ports.Tables."""
        for row, properties in rows:
            check_entity(partition, row, properties)
        client, what = self._client(table), f"Writing {len(rows)} entities of {table} '{partition}'"
        for some in batches(partition, rows):
            entities = [("upsert", _to_azure(partition, *entity), {"mode": "replace"}) for entity in some]
            await _creating_table(what, client, partial(client.submit_transaction, entities))

    async def delete_many(self, table: str, partition: str, rows: Sequence[str]) -> None:
        """See ports.Tables. One absent entity makes the service refuse its whole batch, whose others then go one by one."""
        client, what = self._client(table), f"Deleting {len(rows)} entities of {table} '{partition}'"
        for start in range(0, len(rows), MAX_BATCH):
            some = rows[start : start + MAX_BATCH]
            try:
                keys = [("delete", {"PartitionKey": partition, "RowKey": row}) for row in some]
                await _ask_azure(what, partial(client.submit_transaction, keys))
            except _AbsentError:
                for row in some:
                    await self.delete(table, partition, row)

    async def delete(self, table: str, partition: str, row: str, *, etag: str | None = None) -> None:
        """See ports.Tables."""
        statuses: list[int] = []  # the client hides that there was nothing to delete
        options: dict[str, Any] = {
            "raw_response_hook": lambda answer: statuses.append(answer.http_response.status_code)
        }
        if etag is not None:
            options |= _only_if(etag)
        client, what = self._client(table), f"Deleting {table} '{partition}' / '{row}'"
        await _ask_azure(what, lambda: client.delete_entity(partition, row, **options))
        if etag is not None and 404 in statuses:
            raise ChangedError(f"{what}: it was gone already.")

    async def query(
        self, table: str, partition: str, *, first: str = "", end: str | None = None, select: Sequence[str] = ()
    ) -> AsyncIterator[Entity]:
        """See ports.Tables."""
        wanted, names = "PartitionKey eq @partition and RowKey ge @first", {"partition": partition, "first": first}
        if end is not None:
            wanted, names = f"{wanted} and RowKey lt @end", names | {"end": end}
        columns = [*_KEYS, *select] if select else None
        found = aiter(self._client(table).query_entities(wanted, parameters=names, select=columns))
        try:
            while (
                entity := await _ask_azure(f"Listing {table} '{partition}'", lambda: anext(found, None))
            ) is not None:
                yield _from_azure(entity, partition, entity["RowKey"])
        except _AbsentError:
            return

    async def close(self) -> None:
        """End the connections. The next call opens new ones."""
        service = self.__dict__.pop("_service", None)
        self._clients.clear()
        if service is not None:
            await service.close()
        if self._credential is not None:
            await self._credential.close()

    @cached_property
    def _service(self) -> TableServiceClient:
        from azure.data.tables.aio import TableServiceClient

        if self._credential is None:
            try:
                return TableServiceClient.from_connection_string(self._connection_string, **_PATIENCE)
            except ValueError as error:  # its text names no part of the string, which is a secret
                raise ConfigurationError(
                    f"The connection string of Table Storage (LINKER_STORAGE) cannot be used: {error} Nothing was written. "
                    "Copy it again from the storage account, Security + networking > Access keys."
                ) from None
        return TableServiceClient(self._endpoint, credential=self._credential, **_PATIENCE)

    def _client(self, table: str) -> TableClient:
        if table not in self._clients:
            self._clients[table] = self._service.get_table_client(table)
        return self._clients[table]


async def _ask_azure[T](what: str, send: Callable[[], Awaitable[T]]) -> T:
    """Return the answer of Microsoft's client; raise an error of ours instead of its own. `what` begins the message."""
    for wait_s in (*_REFUSED_WAITS_S, None):
        try:
            return await _answer(what, send)
        except _RefusedError:
            if wait_s is None:
                raise
            await asyncio.sleep(wait_s)
    raise AssertionError("the last try returns or raises")


async def _answer[T](what: str, send: Callable[[], Awaitable[T]]) -> T:
    from azure.core.exceptions import AzureError

    try:
        async with asyncio.timeout(_ANSWER_S):
            return await send()
    except TimeoutError as error:
        raise TransientError(f"{what}: Table Storage gave no answer within {_ANSWER_S:g} s.") from error
    except AzureError as error:
        raise _meaning(what, error) from error
    except (
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:  # a web page, or another shape, under status 200
        raise _unreadable(what) from error


async def _creating_table[T](what: str, client: TableClient, send: Callable[[], Awaitable[T]]) -> T:
    try:
        return await _ask_azure(what, send)
    except _AbsentError:  # a write without condition finds nothing absent but the table
        await _create_table(client)
        return await _ask_azure(what, send)


async def _create_table(client: TableClient) -> None:
    try:
        await _ask_azure(f"Creating table {client.table_name}", client.create_table)
    except AlreadyThereError:
        return  # another host was first


def _meaning(what: str, error: AzureError) -> LinkerError:
    status = getattr(error, "status_code", None)
    if status is not None and status < 400:  # the body of a success was cut off
        return _unreadable(what)
    text = f"{what}: Table Storage answered {status or 'nothing'}. {error.message}"
    match status:
        case 404:
            return _AbsentError(text)
        case 409:
            return AlreadyThereError(text)
        case 412:
            return ChangedError(text)
        case 401 | 403:
            return _RefusedError(f"{text} {advice_on_refusal(_code(error))}")
        case None | 408 | 429:
            return TransientError(text, wait_s=_wait_s(error))
        case _:
            return TransientError(text, wait_s=_wait_s(error)) if status >= 500 else StateError(text)


def _unreadable(what: str) -> TransientError:
    return TransientError(
        f"{what}: the answer of Table Storage was cut off or is not one of its own.", wait_s=_DEFAULT_WAIT_S
    )


def _code(error: AzureError) -> str:
    code = getattr(error, "error_code", "")
    return str(getattr(code, "value", code) or "")


def _wait_s(error: AzureError) -> float:
    response = getattr(error, "response", None)
    asked = response.headers.get("Retry-After", "") if response is not None else ""
    return float(asked) if asked.isdecimal() else _DEFAULT_WAIT_S


def _only_if(etag: str) -> dict[str, Any]:
    from azure.core import MatchConditions

    return {"etag": etag, "match_condition": MatchConditions.IfNotModified}


def _etag(answer: Mapping[str, Any]) -> str:
    return str(answer["etag"])


def _to_azure(partition: str, row: str, properties: Properties) -> dict[str, Any]:
    return {"PartitionKey": partition, "RowKey": row} | {name: _name_type(value) for name, value in properties.items()}


def _name_type(value: Value) -> object:
    """Whole numbers beyond 32 bits must name their type, or the client refuses them."""
    if isinstance(value, int) and not is_int32(value):
        from azure.data.tables import EdmType, EntityProperty

        return EntityProperty(value, EdmType.INT64)
    return value


def _from_azure(found: Mapping[str, Any], partition: str, row: str) -> Entity:
    properties = {
        name: value[0] if isinstance(value, tuple) else value  # a 64-bit number comes as (value, type)
        for name, value in found.items()
        if name not in _KEYS and value is not None  # a selected property that is absent comes as null
    }
    return Entity(partition, row, properties, found.metadata["etag"])  # type: ignore[attr-defined]
