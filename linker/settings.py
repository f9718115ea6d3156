"""Settings of the app: environment variables that start with LINKER_. docs/settings.md explains each for people.

What is there must be right: an unknown name or a malformed value stops the start. What is missing is reported by whatever
needs it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, TypeAdapter, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from linker.core.addresses import normalize_address, origin_of
from linker.core.errors import ConfigurationError
from linker.core.model import Requirement
from linker.core.requirements.facts import DeclaredSource
from linker.core.runs.signals import Trigger, next_tick
from linker.core.serialization import iso

PREFIX = "LINKER_"
WORKSPACE = (
    r"^/subscriptions/[\w-]+/resourceGroups/[\w.()-]+/providers/Microsoft\.OperationalInsights/workspaces/[\w-]+$"
)
_THIS_MACHINE = frozenset({"127.0.0.1", "localhost", "::1"})


def _web_address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("https", "http") or not parts.hostname or " " in text or not text.isprintable():
        raise ValueError("it must be a web address such as https://contoso.example.com")
    if parts.username is not None or parts.fragment:
        raise ValueError("it must be the address alone, without a name, a password or a fragment")
    if parts.scheme == "http" and parts.hostname not in _THIS_MACHINE:
        raise ValueError("it must begin with https: tokens are sent there")
    return normalize_address(text)


def _without_path(text: str) -> str:
    if urlsplit(text).path.rstrip("/") or urlsplit(text).query:
        raise ValueError("it must be the address alone, without a path, such as https://contoso.example.com")
    return text


def _environment(text: str) -> str:
    """Return the origin alone: an address that was copied from a browser has a path that means nothing here."""
    return str(origin_of(text))


def _schedule(text: str) -> str:
    if len(text.split()) != 6:
        raise ValueError("it must be an NCRONTAB expression of six fields, seconds first, such as 0 */5 * * * *")
    return text


def _split_list(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


def _read_sources(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return TypeAdapter(tuple[DeclaredSource, ...]).validate_json(value)
    except ValidationError as error:
        fault = error.errors(include_input=False)[0]
        where = ".".join(map(str, fault["loc"])) or "the text"
        raise ValueError(
            f"{where}: {fault['msg']}. It must be a JSON list such as "
            '[{"dataSource": "DynamicsSales", "table": "contact", "kind": "attachCds", "key": "contactid"}]'
        ) from None


type WebAddress = Annotated[str, AfterValidator(_web_address)]
type Address = Annotated[WebAddress, AfterValidator(_without_path)]
type EnvironmentAddress = Annotated[WebAddress, AfterValidator(_environment)]
type Schedule = Annotated[str, AfterValidator(_schedule)]
type Seconds = Annotated[float, Field(allow_inf_nan=False, le=86_400)]
type DeclaredSources = Annotated[tuple[DeclaredSource, ...], NoDecode, BeforeValidator(_read_sources)]
type Listed[T] = Annotated[tuple[T, ...], NoDecode, BeforeValidator(_split_list)]


class Settings(BaseSettings):
    """The settings, parsed. Each field is the environment variable LINKER_<NAME>; times carry their unit in the name."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True)

    dataverse_url: EnvironmentAddress
    storage: SecretStr | None = None
    storage_table_service_uri: WebAddress | None = Field(None, validation_alias="LINKER_STORAGE__tableServiceUri")
    client_id: str | None = None
    events_namespace: str | None = Field(None, validation_alias="LINKER_EVENTS__fullyQualifiedNamespace")
    # The platform reads these two: who connects to that namespace (docs/reference/azure.md 4.5).
    events_credential: Literal["managedidentity"] | None = Field(None, validation_alias="LINKER_EVENTS__credential")
    events_client_id: str | None = Field(None, validation_alias="LINKER_EVENTS__clientId")
    workspace_id: Annotated[str, Field(pattern=WORKSPACE)] | None = None
    insights_url: WebAddress | None = None
    insights_instance_id: str | None = None
    insights_key: SecretStr | None = None
    insights_workflow: str = "main"
    declared: Listed[Annotated[Requirement, BeforeValidator(_upper)]] = ()
    sources: DeclaredSources = ()
    unknown_facts: Literal["skip", "warn"] = "skip"
    requirements: Literal["per-table", "all"] = "per-table"
    automations: Literal["warn", "block", "bypass"] = "warn"
    first_link: Literal["hold", "auto"] = "hold"
    impersonate: UUID | None = None
    solution: str | None = None
    full: Literal["compare", "rewrite"] = "compare"
    touch_profiles: bool = True
    touch_max_profiles: int = Field(5_000, ge=0)
    settle_minutes: float = Field(10, ge=0, le=1_440)
    settle_most_minutes: float = Field(120, ge=0, le=1_440)
    arrival_minutes: float = Field(30, ge=0, le=1_440)
    full_scan_hours: float = Field(24, gt=0, le=8_760)
    small_table_rows: int = Field(200_000, ge=0)
    orphan_hours: float = Field(24, gt=0, le=8_760)
    unlink_max_share: float = Field(0.1, ge=0, le=1)
    webhook: bool = True
    start_by_api: bool = True
    verify: bool = False
    unlisted_tables: Listed[str] = ()
    verify_schedule: Schedule = "0 0 2 * * *"
    purge_schedule: Schedule = "0 30 3 * * *"
    keep_days: float = Field(90, ge=1, le=3_650)
    keep_history_days: float = Field(7, ge=1, le=365)
    keep_audit_days: float = Field(365, ge=1, le=3_650)
    poll: bool = True
    poll_schedule: Schedule = "0 */5 * * * *"
    watchdog_schedule: Schedule = "0 * * * * *"
    lease_seconds: Seconds = Field(40, ge=5)
    attempt_seconds: Seconds = Field(135, ge=5)
    write_timeout_seconds: Seconds = Field(130, ge=1)
    width: int = Field(0, ge=0, le=64)


class AppAccess(BaseSettings):
    """How the command line reaches the deployed app: LINKER_APP_<NAME>. The app itself reads none of it."""

    model_config = SettingsConfigDict(env_prefix=f"{PREFIX}APP_", frozen=True, extra="ignore", env_ignore_empty=True)

    url: Address
    key: SecretStr | None = None
    audience: str | None = None


def access_names() -> tuple[str, ...]:
    """Return the environment variables that the command line alone reads."""
    return tuple(f"{PREFIX}APP_{field.upper()}" for field in AppAccess.model_fields)


def load_access() -> AppAccess:
    """Return how to reach the app. Raises ConfigurationError with the setting's name and a fix."""
    try:
        return AppAccess()  # type: ignore[call-arg]  # the environment gives the arguments
    except ValidationError as error:
        faults = error.errors(include_input=False)
        raise ConfigurationError(" ".join(_fault(f"APP_{f['loc'][0]}", f["type"], f["msg"]) for f in faults)) from None


def names() -> tuple[str, ...]:
    """Return the environment variables of all settings, in the order of their declaration."""
    return tuple(_env_name(field) for field in Settings.model_fields)


def takes_events() -> bool:
    """Whether the app is to be started by events: the namespace that they come from is known."""
    settings = _parse(required=False)
    return bool(settings and settings.events_namespace)


def default_of(name: str) -> str | None:
    """Return the default of a setting as text, None when it has none or does not exist."""
    for field, info in Settings.model_fields.items():
        if _env_name(field).upper() == name.upper() and info.default is not None and not info.is_required():
            return str(info.default)
    return None


def check(environment: Mapping[str, str] | None = None) -> None:
    """Raise ConfigurationError when a LINKER_ variable is unknown or malformed; a missing one is fine here."""
    given = os.environ if environment is None else environment
    known = {name.upper(): name for name in (*names(), *access_names())}
    for name in given:
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            raise ConfigurationError(_unknown(name, tuple(known.values())))
    _parse(required=False)


def read() -> Settings:
    """Return the settings without asking for the storage that only runs need. Raises ConfigurationError as `load` does."""
    check()
    settings = _parse(required=True)
    if settings is None:
        raise AssertionError("a missing setting raises")
    return settings


def load() -> Settings:
    """Return the settings of this process. Raises ConfigurationError with the setting's name and a fix."""
    settings = read()
    if (settings.storage is None) == (settings.storage_table_service_uri is None):
        raise ConfigurationError(
            "Set exactly one of LINKER_STORAGE (a connection string) and LINKER_STORAGE__tableServiceUri "
            "(https://<account>.table.core.windows.net, used with the managed identity). Nothing was started."
        )
    if settings.storage is not None and not _is_connection(settings.storage.get_secret_value()):
        raise ConfigurationError(
            "The setting LINKER_STORAGE is malformed: it must be a connection string such as "
            "DefaultEndpointsProtocol=https;AccountName=...;AccountKey=...;EndpointSuffix=core.windows.net. "
            "Nothing was started."
        )
    if bool(settings.insights_url) != bool(settings.insights_instance_id):
        raise ConfigurationError(
            "LINKER_INSIGHTS_URL and LINKER_INSIGHTS_INSTANCE_ID belong together: set both, or neither. Nothing was started."
        )
    if settings.attempt_seconds < settings.write_timeout_seconds + 2:  # it sends only what ends within its time
        raise ConfigurationError(
            f"LINKER_ATTEMPT_SECONDS ({settings.attempt_seconds:g}) has to be at least 2 above LINKER_WRITE_TIMEOUT_SECONDS "
            f"({settings.write_timeout_seconds:g}): else a write could outlive its attempt. Nothing was started."
        )
    return settings


def _is_connection(text: str) -> bool:
    names = {part.partition("=")[0].strip().lower() for part in text.split(";") if "=" in part}
    return bool(names & {"accountname", "tableendpoint", "usedevelopmentstorage"})


def _parse(*, required: bool) -> Settings | None:
    try:
        return Settings()  # type: ignore[call-arg]  # the environment gives the arguments
    except ValidationError as error:
        faults = [fault for fault in error.errors() if required or fault["type"] != "missing"]
        if not faults:
            return None
        told = dict.fromkeys(_fault(str(f["loc"][0]), f["type"], f["msg"]) for f in faults)
        raise ConfigurationError(" ".join(told)) from None


def _env_name(field: str) -> str:
    alias = Settings.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else PREFIX + field.upper()


def _fault(field: str, kind: str, text: str) -> str:
    name = field if field.startswith(PREFIX) else PREFIX + field.upper()
    if kind == "missing":
        where = "the environment" if name in access_names() else "the app settings"
        return f"The setting {name} is missing. Set it in {where} or local.settings.json; see docs/settings.md."
    return f"The setting {name} is malformed: {text.removeprefix('Value error, ')}. Correct it; see docs/settings.md."


def _unknown(name: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(name.upper(), known, n=1, cutoff=0.8)
    hint = f"Did you mean {close[0]}?" if close else "Remove it."
    return f"There is no setting {name}. {hint} The list is in docs/settings.md. Nothing was started."


def triggers_of(settings: Settings, now: float) -> tuple[Trigger, ...]:
    """Return every trigger, on or off, at `now` (epoch s)."""
    return (
        Trigger("events", bool(settings.events_namespace), "LINKER_EVENTS__fullyQualifiedNamespace"),
        Trigger("webhook", settings.webhook, "LINKER_WEBHOOK"),
        _timer("timer", settings.poll, "LINKER_POLL", settings.poll_schedule, now),
        _timer("verify timer", settings.verify, "LINKER_VERIFY", settings.verify_schedule, now),
        Trigger("on request", settings.start_by_api, "LINKER_START_BY_API"),
    )


def _timer(name: str, is_on: bool, setting: str, schedule: str, now: float) -> Trigger:
    tick = next_tick(schedule, now) if is_on else None
    return Trigger(name, is_on, setting, iso(tick) if tick else None, schedule)
