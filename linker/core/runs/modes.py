"""In which mode a run links a table, and why. Pure."""

from __future__ import annotations

from linker.core.linking.mapping_scan import TableState
from linker.core.model import Mode

# Reasons after which nothing that an interrupted full run saved may be believed.
OTHER_SCHEMA = "the schema of the profile table changed"
OTHER_HASHES = "the stored row hashes were made with another secret"
OTHER_WISHES = "the mapping names profiles in another way now"
LOST_BLOCKS = "what was known of some rows is lost"
LOST_STATE = "what was known of the table is lost"
VERSION_1 = "the stored state is of version 1"
WENT_BACK = "the mapping is older than at the last run: the environment was restored or copied"
RESTARTS = frozenset({OTHER_SCHEMA, OTHER_HASHES, OTHER_WISHES, LOST_BLOCKS, LOST_STATE, VERSION_1, WENT_BACK})


def mode_of(asked: Mode, state: TableState, *, column_is_new: bool = False, because: str = "") -> tuple[Mode, str]:
    """Return the mode for a table, and why. `because` is a reason to compare every row. A full run that was interrupted
    continues, whatever was asked for.
    """
    if not state.linked:
        if because in RESTARTS:
            return Mode.FULL, because
        return (
            Mode.FULL,
            "first run on this table" if not state.epoch else "the first run was interrupted and continues",
        )
    if column_is_new:
        return Mode.FULL, "the lookup column was missing and is new"
    if state.epoch:
        return Mode.FULL, "a full run was interrupted and continues"
    if because:
        return Mode.FULL, because
    return asked, "only rows that changed" if asked is Mode.INCREMENTAL else "asked for"


def because_of_schema(state: TableState, schema: str) -> bool:
    """Return whether the schema of profiles is another one than the last full run began with."""
    return bool(state.schema and schema and state.schema != schema)
