"""The sandbox's switches: one frozen value, changeable while it runs (`POST /sandbox/config`)."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import Annotated, ClassVar, Final, Literal

from pydantic import ConfigDict, NonNegativeFloat, PositiveFloat, TypeAdapter, ValidationError

from sandbox.switches.registry import InvalidConfigError, Switch, registry, unknown_switch
from sandbox.switches.tables import Share, TableSwitches

InsightsAnswer = Literal["answers", "401", "403", "404", "410", "redirect", "no_address"]
WorkflowTables = Literal["filled", "empty", "absent"]
WorkflowWords = Literal["camel", "pascal", "upper"]
WriterPartition = Literal["own_id", "null"]
HydrationWrites = Literal["changed", "all"]


@dataclass(frozen=True, slots=True)
class SandboxConfig(TableSwitches):
    """All switches of the sandbox."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)

    # How a unification writes; `POST /sandbox/unifications` may say otherwise.
    hydration_s: Annotated[
        NonNegativeFloat,
        Switch("Simulated seconds over which profiles and mapping are written in a mixed order.", (0.0, 60.0)),
    ] = 0.0
    job_ends_first: Annotated[
        bool, Switch("Whether the job of a unification ends before its hydration begins.", proved=False)
    ] = False
    hydration_writes: Annotated[
        HydrationWrites,
        Switch("Whether a unification writes all rows of profiles and mapping or only changed ones.", proved=False),
    ] = "changed"
    loaded_age_s: Annotated[
        NonNegativeFloat,
        Switch(
            "Seconds since the rows that the start loads or generates were written. A run reads the changes of the last ten "
            "minutes again, so a scan of changes needs older rows.",
            (0.0, 86_400.0),
            at_start=True,
        ),
    ] = 0.0
    profiles_vanish: Annotated[
        Share,
        Switch("Share of the profiles that each unification deletes, though the mapping names them.", (0.0, 0.01)),
    ] = 0.0
    profile_ids_change: Annotated[
        Share,
        Switch(
            "Share of the profiles that each unification writes under another id, for the same CustomerId.",
            (0.0, 0.01),
            proved=False,
        ),
    ] = 0.0
    second_writer: Annotated[bool, Switch("Whether the vendor's own task links rows after each unification.")] = False
    second_writer_partition: Annotated[
        WriterPartition,
        Switch("What the vendor's task writes as the partition of a link: the profile's id or nothing.", proved=False),
    ] = "own_id"

    # What Customer Insights - Data keeps in Dataverse besides.
    workflow_tables: Annotated[
        WorkflowTables,
        Switch(
            "Whether the tables `msdyn_ciworkflow...` hold the jobs, are empty or do not exist.",
            proved=False,
            at_start=True,
        ),
    ] = "empty"
    workflow_words: Annotated[
        WorkflowWords,
        Switch("The letter case of status and type words in the workflow tables.", proved=False),
    ] = "camel"

    # Tokens and the Customer Insights API.
    token_lifetime_s: Annotated[PositiveFloat, Switch("Seconds that new tokens live.", (3600.0, 60.0))] = 3600.0
    insights_api: Annotated[
        InsightsAnswer,
        Switch(
            "Whether the Customer Insights API answers, refuses with a status, redirects or has no address.",
            proved=False,
        ),
    ] = "answers"
    insights_subscription_key: Annotated[
        str | None,
        Switch("When set, the Customer Insights API requires it as `Ocp-Apim-Subscription-Key`.", (None, "secret")),
    ] = None
    events_url: Annotated[
        str | None,
        Switch(
            "Where each Azure Monitor message is posted, such as `/admin/eventhubs/{hub}` of the local host.",
            (None, "http://127.0.0.1:9/events"),
        ),
    ] = None


DEFAULTS: Final = SandboxConfig()


@cache
def _checker() -> TypeAdapter[SandboxConfig]:
    return TypeAdapter(SandboxConfig)


def changed(config: SandboxConfig, changes: Mapping[str, object]) -> SandboxConfig:
    """Return `config` with some switches changed.

    Raises InvalidConfigError, naming the switch, if one does not exist or a value does not fit.
    """
    unknown = next((name for name in changes if name not in registry(SandboxConfig)), None)
    if unknown is not None:
        raise unknown_switch(SandboxConfig, unknown)
    try:
        return _checker().validate_python({**asdict(config), **changes})
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidConfigError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
