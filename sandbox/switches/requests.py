"""Switches of requests: what they cost, what service protection allows, how Dataverse compares and answers."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt

from sandbox.switches.registry import Switch

StringOrder = Literal["word", "ordinal"]
ProtectionScope = Literal["user", "server"]
LagScope = Literal["all", "other_servers"]
ErrorLanguage = Literal["en", "de", "none"]


@dataclass(frozen=True, slots=True)
class RequestSwitches:
    """Times are in the unit of their name; limits are those of docs/reference/dataverse.md 1.1."""

    # What a request costs the simulated server; it is slept while the request holds its concurrency slot.
    ms_per_request: Annotated[
        NonNegativeFloat, Switch("Milliseconds that a request, or a part of a `$batch`, takes.", (0.0, 20.0))
    ] = 0.0
    ms_per_row: Annotated[NonNegativeFloat, Switch("Milliseconds that a written row takes.", (0.0, 2.0))] = 0.0
    ms_per_row_read: Annotated[NonNegativeFloat, Switch("Milliseconds that a returned row takes.", (0.0, 0.1))] = 0.0
    latency_growth: Annotated[
        NonNegativeFloat,
        Switch("Extra share of the cost for each request in flight beyond `dop_hint` on the same server.", (0.0, 0.5)),
    ] = 0.0

    # Service protection, counted per user.
    protection: Annotated[bool, Switch("Whether the service protection limits are on.")] = True
    protection_scope: Annotated[
        ProtectionScope,
        Switch("Whether all servers count a user's requests together (`user`) or each by itself.", proved=False),
    ] = "user"
    limit_requests: Annotated[PositiveInt, Switch("Requests of a user within the window.", (6000, 8000))] = 6000
    limit_execution_ms: Annotated[
        PositiveFloat, Switch("Milliseconds of execution of a user within the window.", (1_200_000.0, 6e5))
    ] = 1_200_000.0
    limit_concurrency: Annotated[PositiveInt, Switch("Requests of a user in flight.", (52, 8))] = 52
    limit_window_s: Annotated[PositiveFloat, Switch("Seconds of the sliding window of the limits.", (300.0, 5.0))] = (
        300.0
    )
    servers: Annotated[
        PositiveInt,
        Switch("Virtual web servers; the cookie `ARRAffinity` picks one, requests without it take turns.", (1, 4)),
    ] = 1
    dop_hint: Annotated[PositiveInt, Switch("The value of the header `x-ms-dop-hint`.", (4, 48))] = 4
    time_scale: Annotated[
        PositiveFloat,
        Switch(
            "Simulated seconds in a real second; costs sleep less, and Retry-After is in real seconds.", (1.0, 60.0)
        ),
    ] = 1.0

    # How the simulated Dataverse compares, pages and answers.
    string_order: Annotated[
        StringOrder, Switch("How texts of standard tables order: SQL Server's word order or code points.", proved=False)
    ] = "word"
    guid_ranges: Annotated[
        bool, Switch("Whether `gt`, `ge`, `lt` and `le` compare GUIDs instead of being refused.", proved=False)
    ] = False
    max_page: Annotated[PositiveInt, Switch("Rows of a page of a standard table.", (5000, 500))] = 5000
    metadata_lag_s: Annotated[
        NonNegativeFloat,
        Switch(
            "Seconds that new metadata stay unseen, for reads and writes without `Consistency: Strong`.", (0.0, 5.0)
        ),
    ] = 0.0
    metadata_lag_scope: Annotated[
        LagScope,
        Switch("Whether the server that changed metadata lags as well (`all`) or only the others.", proved=False),
    ] = "all"
    strong_consistency: Annotated[bool, Switch("Whether `Consistency: Strong` sees metadata that still lag.")] = True
    customization_ms: Annotated[
        NonNegativeFloat,
        Switch("Milliseconds that a change of metadata takes; others meanwhile get 429 `0x80071151`.", (0.0, 2000.0)),
    ] = 0.0
    customizing: Annotated[
        bool, Switch("Whether a solution import changes metadata all the time: every other change gets that 429.")
    ] = False
    error_language: Annotated[
        ErrorLanguage,
        Switch(
            "The language of error texts: English, German with the same ids and names, or empty texts. Codes stay.",
            proved=False,
        ),
    ] = "en"
    privileges_checked: Annotated[bool, Switch("Whether security roles are checked.")] = True
