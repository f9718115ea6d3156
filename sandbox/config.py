"""The sandbox's switches: one frozen value, changeable while it runs (`POST /sandbox/config`)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import ClassVar, Literal

from pydantic import ConfigDict, NonNegativeFloat, PositiveFloat, PositiveInt, TypeAdapter, ValidationError

StringOrder = Literal["word", "ordinal"]
MappingNameColumn = Literal["msdynci_tablename", "msdynci_entityname"]


class InvalidConfigError(ValueError):
    """A switch is unknown or its value does not fit. Nothing was changed; the message names the switch."""


@dataclass(frozen=True, slots=True)
class SandboxConfig:
    """All switches of the sandbox. Times are in the unit of their name; limits are those of dataverse.md 1.1."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    # What a request costs the simulated server; it is slept while the request holds its concurrency slot.
    ms_per_request: NonNegativeFloat = 0.0
    ms_per_row: NonNegativeFloat = 0.0
    ms_per_row_read: NonNegativeFloat = 0.0
    latency_growth: NonNegativeFloat = 0.0
    """Extra share of the cost for each other request in flight beyond `dop_hint` on the same server."""

    # Service protection, counted per user and virtual web server.
    protection: bool = True
    limit_requests: PositiveInt = 6000
    limit_execution_ms: PositiveFloat = 1_200_000
    limit_concurrency: PositiveInt = 52
    limit_window_s: PositiveFloat = 300.0
    servers: PositiveInt = 1
    dop_hint: PositiveInt = 4
    time_scale: PositiveFloat = 1.0
    """Simulated seconds that pass in one real second: 60 lets a window of 300 s pass in 5 s."""

    # How the simulated Dataverse compares, pages and answers.
    string_order: StringOrder = "word"
    guid_ranges: bool = False
    max_page: PositiveInt = 5000
    metadata_lag_s: NonNegativeFloat = 0.0
    customization_ms: NonNegativeFloat = 0.0
    """How long a change of metadata takes, in which it locks out others (dataverse.md 8.4)."""
    customizing: bool = False
    """Whether somebody else, such as a solution import, is changing metadata all the time."""
    privileges_checked: bool = True
    mapping_name_column: MappingNameColumn = "msdynci_tablename"

    # Change tracking (dataverse.md 12).
    change_tracking_days: PositiveFloat = 7.0
    """How old a delta token may be."""
    expired_delta: Literal["error", "all_rows"] = "error"
    """What an older one gets."""

    # Tokens and the Customer Insights API.
    token_lifetime_s: PositiveFloat = 3600.0
    insights_subscription_key: str | None = None
    events_url: str | None = None
    """Where to post each Azure Monitor message of the workflow; without it they are only kept."""


@cache
def _checker() -> TypeAdapter[SandboxConfig]:
    return TypeAdapter(SandboxConfig)


def changed(config: SandboxConfig, changes: Mapping[str, object]) -> SandboxConfig:
    """Return `config` with some switches changed.

    Raises InvalidConfigError, naming the switch, if one does not exist or a value does not fit.
    """
    try:
        return _checker().validate_python({**asdict(config), **changes})
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidConfigError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
