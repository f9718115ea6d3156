"""What stands between the state and Table Storage: texts cut to fit, checks, the meaning of refusals, own writes recognized.

An entity is checked before sending because Azurite lets most of what Table Storage refuses pass (docs/reference/azure.md 8.1).

A write whose answer is lost is sent again, by Microsoft's client, by aiohttp below it, or here. The second sending meets
what the first one stored and is refused: with 412, or with 409 for an insert. So a refusal alone does not say who wrote.
Each conditional write therefore stores an id of its own in the entity. After a refusal the entity is read, and the same id
proves that the write is stored. Callers see neither the id nor the refusal.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from linker.core.errors import AlreadyThereError, ChangedError, LimitError, TransientError
from linker.core.ports import Entity, Properties, Tables, Value

MAX_ENTITY_BYTES: Final = 1024 * 1024
MAX_VALUE_BYTES: Final = 64 * 1024
MAX_KEY_BYTES: Final = 1024
MAX_PROPERTIES: Final = 252
MAX_NAME_LENGTH: Final = 255
MAX_BATCH: Final = 100  # entities of one transaction
MAX_BATCH_BYTES: Final = 2_800_000  # of 4 MiB: binary values travel as base64
TEXT_CHUNK: Final = 16_000  # characters of up to four bytes, which fit into MAX_VALUE_BYTES
_SYSTEM_NAMES: Final = frozenset({"PartitionKey", "RowKey", "Timestamp"})
_FORBIDDEN_IN_KEYS: Final = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f]")
# "%" is allowed in keys but troublesome in tools, and "~" is the mark of an escape.
_ESCAPED_IN_KEYS: Final = re.compile(r"[/\\#?%~\x00-\x1f\x7f-\x9f]")


def key_text(text: str) -> str:
    """Return `text` as (part of) a partition or row key: each forbidden character becomes "~" and two hex digits a byte.

    Different texts give different keys; `urllib.parse.unquote(key.replace("~", "%"))` gives the text back.
    """
    return _ESCAPED_IN_KEYS.sub(lambda found: "".join(f"~{byte:02X}" for byte in found[0].encode()), text)


def cut_text(text: str) -> dict[str, str]:
    """Return a text as properties that each fit."""
    return {
        f"j{number:02}": text[start : start + TEXT_CHUNK]
        for number, start in enumerate(range(0, len(text), TEXT_CHUNK))
    }


def join_text(entity: Entity) -> str:
    """Return the text that was cut into the properties of an entity."""
    names = sorted(name for name in entity.properties if len(name) == 3 and name[0] == "j")
    return "".join(str(entity.properties[name]) for name in names)


def check_entity(partition: str, row: str, properties: Properties) -> None:
    """Raise LimitError if Table Storage would refuse an entity of exactly these keys and properties."""
    where = f"Entity '{partition[:80]}' / '{row[:80]}'"
    _check_key(partition, where)
    _check_key(row, where)
    if len(properties) > MAX_PROPERTIES:
        raise LimitError(f"{where} has {len(properties)} properties; {MAX_PROPERTIES} are allowed. Nothing was sent.")
    for name, value in properties.items():
        _check_property(name, value, where)
    size = entity_bytes(partition, row, properties)
    if size > MAX_ENTITY_BYTES:
        raise LimitError(f"{where} takes {size:,} bytes; {MAX_ENTITY_BYTES:,} are allowed. Nothing was sent.")


def batches(partition: str, rows: Iterable[tuple[str, Properties]]) -> Iterator[list[tuple[str, Properties]]]:
    """Yield entities of one partition in the largest groups that one transaction takes, in their order."""
    group: list[tuple[str, Properties]] = []
    size = 0
    for row, properties in rows:
        bytes_of = entity_bytes(partition, row, properties)
        if group and (len(group) == MAX_BATCH or size + bytes_of > MAX_BATCH_BYTES):
            yield group
            group, size = [], 0
        group.append((row, properties))
        size += bytes_of
    if group:
        yield group


def _check_key(key: str, where: str) -> None:
    if _utf16_bytes(key) > MAX_KEY_BYTES:
        raise LimitError(f"{where}: a key takes more than {MAX_KEY_BYTES} bytes in UTF-16. Nothing was sent.")
    if _FORBIDDEN_IN_KEYS.search(key):
        raise LimitError(f"{where}: a key holds / \\ # ? or a control character; use key_text. Nothing was sent.")


def entity_bytes(partition: str, row: str, properties: Properties) -> int:
    """Return what the service counts against the 1 MiB of an entity.

    By the published formula: 4 + 2 a character of both keys, and for each property 8 + 2 a character of its name + its
    value, where text and binary count 4 more than their content.
    """
    keys = 4 + _utf16_bytes(partition) + _utf16_bytes(row)
    return keys + sum(8 + _utf16_bytes(name) + _count_bytes(value) for name, value in properties.items())


def _check_property(name: str, value: Value, where: str) -> None:
    if not name.isidentifier() or len(name) > MAX_NAME_LENGTH or name in _SYSTEM_NAMES:
        raise LimitError(f"{where}: '{name[:80]}' cannot name a property. Nothing was sent.")
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise LimitError(f"{where}: property '{name}' is beyond 64 bits. Nothing was sent.")
    size = _content_bytes(value)
    if size > MAX_VALUE_BYTES:
        raise LimitError(
            f"{where}: property '{name}' takes {size:,} bytes (text counts as UTF-16); {MAX_VALUE_BYTES:,} are allowed."
            " Nothing was sent."
        )


def _count_bytes(value: Value) -> int:
    return _content_bytes(value) + (4 if isinstance(value, str | bytes) else 0)


def _content_bytes(value: Value) -> int:
    match value:
        case str():
            return _utf16_bytes(value)
        case bytes():
            return len(value)
        case bool():
            return 1
        case int():
            return 4 if is_int32(value) else 8
        case float():
            return 8


def is_int32(value: int) -> bool:
    """Whether `value` fits Edm.Int32; larger ones are Edm.Int64."""
    return -(2**31) <= value < 2**31


def _utf16_bytes(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass"))


_ROLE: Final = "Give the app's identity the role Storage Table Data Contributor on the account."
_CLOCK: Final = (
    "The account key is wrong, or the clock of this host differs by more than 15 minutes. Check the clock, then copy the "
    "connection string again."
)
_NETWORK: Final = (
    "The account's network rules refuse this app. Allow its network in Networking of the storage account, or connect the app "
    "to the account's virtual network."
)
_IDENTITY: Final = (
    "The account refused the token of the app's identity. Check that the identity belongs to the account's tenant, and the "
    "clock of this host."
)
_ADVICE: Final[Mapping[str, str]] = {
    "KeyBasedAuthenticationNotPermitted": "The account permits no account keys. Set LINKER_STORAGE__tableServiceUri instead "
    f"of LINKER_STORAGE. {_ROLE}",
    "AuthorizationFailure": _NETWORK,
    "AuthorizationSourceIPMismatch": _NETWORK,
    "PublicAccessNotPermitted": _NETWORK,
    "AuthorizationPermissionMismatch": _ROLE,
    "AuthorizationResourceTypeMismatch": _ROLE,
    "AuthorizationServiceMismatch": _ROLE,
    "InsufficientAccountPermissions": _ROLE,
    "InvalidAuthenticationInfo": _IDENTITY,
    "NoAuthenticationInformation": _IDENTITY,
    "AuthenticationFailed": _CLOCK,
    "AccountIsDisabled": "The storage account is disabled. Enable it, or its subscription.",
}


def advice_on_refusal(code: str) -> str:
    """Return what ends a lasting 401 or 403 with this error code."""
    return _ADVICE.get(code, f"{_ROLE} If it has the role, check the account's network rules.")


# ---- own writes ----

WRITE: Final = "write"  # property with the id of the conditional write that stored the entity


@dataclass(frozen=True, slots=True)
class OwnWrites:
    """The operations of ports.Tables. `new_id` returns a text that no other write has.

    ChangedError and AlreadyThereError mean that another writer was faster. An entity that an earlier version stored has no
    id and counts as another writer's.
    """

    tables: Tables
    new_id: Callable[[], str]

    async def get(self, table: str, partition: str, row: str, *, select: Sequence[str] = ()) -> Entity | None:
        """See ports.Tables."""
        found = await self.tables.get(table, partition, row, select=select)
        return _without_id(found) if found else None

    async def insert(self, table: str, partition: str, row: str, properties: Properties) -> str:
        """See ports.Tables."""

        async def send(marked: Properties) -> str:
            return await self.tables.insert(table, partition, row, marked)

        return await self._send_conditional((table, partition, row), properties, send)

    async def replace(
        self, table: str, partition: str, row: str, properties: Properties, *, etag: str | None = None
    ) -> str:
        """See ports.Tables. Without `etag` a second sending stores the same again and needs no id."""

        async def send(marked: Properties) -> str:
            return await self.tables.replace(table, partition, row, marked, etag=etag)

        return await (
            send(properties) if etag is None else self._send_conditional((table, partition, row), properties, send)
        )

    async def merge(self, table: str, partition: str, row: str, properties: Properties, *, etag: str) -> str:
        """See ports.Tables."""

        async def send(marked: Properties) -> str:
            return await self.tables.merge(table, partition, row, marked, etag=etag)

        return await self._send_conditional((table, partition, row), properties, send)

    async def write_many(self, table: str, partition: str, rows: Sequence[tuple[str, Properties]]) -> None:
        """See ports.Tables. A second sending stores the same again and needs no id."""
        await self.tables.write_many(table, partition, rows)

    async def delete_many(self, table: str, partition: str, rows: Sequence[str]) -> None:
        """See ports.Tables."""
        await self.tables.delete_many(table, partition, rows)

    async def delete(self, table: str, partition: str, row: str, *, etag: str | None = None) -> None:
        """See ports.Tables. A conditional delete leaves nothing that could say who deleted."""
        await self.tables.delete(table, partition, row, etag=etag)

    async def query(
        self, table: str, partition: str, *, first: str = "", end: str | None = None, select: Sequence[str] = ()
    ) -> AsyncIterator[Entity]:
        """See ports.Tables."""
        async for entity in self.tables.query(table, partition, first=first, end=end, select=select):
            yield _without_id(entity)

    async def close(self) -> None:
        """See ports.Tables."""
        await self.tables.close()

    async def _send_conditional(
        self, key: tuple[str, str, str], properties: Properties, send: Callable[[Properties], Awaitable[str]]
    ) -> str:
        """Send a conditional write and return the ETag that it left, whichever sending was stored.

        A write without any answer that is not stored is sent once more: Microsoft's client repeats no insert and no merge
        by itself. The condition keeps a late first sending from doing harm.
        """
        marked: dict[str, Value] = {**properties, WRITE: self.new_id()}
        for is_last in (False, True):
            try:
                return await send(marked)
            except (AlreadyThereError, ChangedError, TransientError) as error:
                found = await self.tables.get(*key, select=(WRITE,))
                if found is not None and found.properties.get(WRITE) == marked[WRITE]:
                    return found.etag
                if is_last or not isinstance(error, TransientError):
                    raise
        raise AssertionError("the last sending returns or raises")


def _without_id(entity: Entity) -> Entity:
    if WRITE not in entity.properties:
        return entity
    return replace(entity, properties={name: value for name, value in entity.properties.items() if name != WRITE})
