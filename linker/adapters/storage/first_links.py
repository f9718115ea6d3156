"""First links that were held, and who allowed them. One document a table."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

from linker.adapters.storage.documents import Documents
from linker.core.errors import ChangedError, ConflictError
from linker.core.model import WIRE
from linker.core.permissions.automations import Estimate
from linker.core.permissions.write_permission import Approval


@dataclass(frozen=True, slots=True)
class FirstLink:
    """The first link of a table as it was last held.

    `automations` are the ids of those that it would fire, or permission.UNREAD; `shown` is what an approver reads of them.
    """

    __pydantic_config__ = WIRE
    table: str
    held_since: str  # ISO 8601
    automations: tuple[str, ...]
    estimate: Estimate | None = None
    approval: Approval | None = None
    shown: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """What stands for all that an approver saw: it changes with each automation and with each word about one."""
        return sha256(json.dumps([sorted(self.automations), self.shown]).encode()).hexdigest()[:16]

    @property
    def waits(self) -> bool:
        """Whether it still needs an approval, as it was last held."""
        return self.approval is None or not set(self.automations) <= set(self.approval.automations)


class FirstLinks:
    """Which first links wait, and which were allowed."""

    def __init__(self, documents: Documents, now: Callable[[], str]) -> None:
        self._documents, self._now = documents, now

    async def load(self, table: str) -> FirstLink | None:
        """Return the first link of a table, None when it was never held."""
        found = await self._documents.load(FirstLink, _row(table))
        return found[0] if found else None

    async def hold(
        self, table: str, automations: tuple[str, ...], estimate: Estimate | None, shown: tuple[str, ...] = ()
    ) -> None:
        """Remember what an approval would allow. An approval for other automations stays on record."""

        def held(old: FirstLink | None) -> FirstLink:
            known = old or FirstLink(table, self._now(), ())
            return replace(known, automations=automations, estimate=estimate, shown=shown)

        await self._change(table, held)

    async def approve(self, table: str, by: str, digest: str) -> FirstLink | None:
        """Allow what was held and return it, None when nothing was. Repeating it renews who and when.

        Raises ConflictError when `digest` is not that of what is held by now: the approver saw something else.
        """
        if await self.load(table) is None:
            return None

        def approved(old: FirstLink | None) -> FirstLink:
            known = old or FirstLink(table, self._now(), ())
            if known.digest != digest:
                raise ConflictError(
                    f"What the first link of '{table}' fires is not what you saw. Nothing was approved. Look again, then "
                    "approve."
                )
            return replace(known, approval=Approval(by, self._now(), known.automations))

        return await self._change(table, approved)

    async def _change(self, table: str, change: Callable[[FirstLink | None], FirstLink]) -> FirstLink:
        while True:
            found = await self._documents.load(FirstLink, _row(table))
            new = change(found[0] if found else None)
            try:
                await self._documents.save(_row(table), new, found[1] if found else None)
            except ChangedError:
                continue
            return new


def _row(table: str) -> str:
    return f"first-link-{table}"
