"""The composition root: settings in, everything that activities and triggers use out. Built at first use, kept per process."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx

from linker import settings as settings_module
from linker.adapters.customer_insights import Insights
from linker.adapters.dataverse import Connection, Dataverse
from linker.adapters.dataverse.web_api import BYPASS
from linker.adapters.outgoing import CODINGS, Identity, Tokens, bound_answer, only_to
from linker.adapters.storage import (
    Audit,
    Blocks,
    CapabilityStore,
    Documents,
    FirstLinks,
    Issues,
    RemovedRows,
    Runs,
    Samples,
    Signals,
    Staging,
    TableStates,
    WaitingProfiles,
)
from linker.adapters.storage.lock_store import RunLock
from linker.adapters.storage.table_client import AzureTables
from linker.adapters.storage.table_guards import OwnWrites, key_text
from linker.adapters.write_limiter import Limiter
from linker.core.ports import Tables
from linker.core.roles import authentication_is_on
from linker.core.serialization import iso
from linker.deps import Deps
from linker.settings import Settings

INSIGHTS_AUDIENCE = "https://api.ci.ai.dynamics.com"


@cache
def deps() -> Deps:
    """Return what activities and triggers use. Raises ConfigurationError when a setting is missing or malformed."""
    return build(settings_module.load())


async def close() -> None:
    """Close the connections of this process, for a host that stops."""
    if deps.cache_info().currsize:
        await deps().close()


def build(settings: Settings, tables: Tables | None = None) -> Deps:
    """Return everything for these settings; no connection is opened yet. `tables` stand in for those of the settings."""
    client = _client(settings)
    tables = OwnWrites(tables or _tables(settings), new_id)
    tokens = Tokens(settings.dataverse_url, settings.client_id)
    insights_tokens = Tokens(INSIGHTS_AUDIENCE, settings.client_id)
    partition = environment_key(settings.dataverse_url)
    connection = Connection(
        settings.dataverse_url,
        client,
        tokens,
        settings.write_timeout_seconds,
        {"CallerObjectId": str(settings.impersonate)} if settings.impersonate else {},
        Limiter(most=settings.width, process=new_id()),
    )
    lock = RunLock(tables, partition, time.time, settings.lease_seconds, new_run_id)
    return replace(
        assemble(settings, tables, partition, connection, lock, time.time, new_id),
        insights=_insights(settings, client, insights_tokens),
        write_headers=BYPASS if settings.automations == "bypass" else {},
        closing=(client.aclose, tables.close, tokens.close, insights_tokens.close),
    )


def assemble(
    settings: Settings,
    tables: Tables,
    partition: str,
    connection: Connection,
    lock: RunLock,
    clock: Callable[[], float],
    new_id: Callable[[], str],
) -> Deps:
    """Return all stores of an environment over `tables`, and Dataverse alone. `clock` gives epoch seconds."""

    def now() -> str:
        return iso(clock())

    documents = Documents(tables, partition)
    return Deps(
        settings=settings,
        connection=connection,
        insights=None,
        lock=lock,
        documents=documents,
        capability_store=CapabilityStore(documents),
        signals=Signals(documents, now),
        runs=Runs(documents, now),
        states=TableStates(documents),
        staging=Staging(tables, documents),
        first_links=FirstLinks(documents, now),
        blocks=Blocks(tables, partition),
        removed=RemovedRows(tables, partition),
        waiting=WaitingProfiles(tables, partition),
        issues=Issues(tables, documents, now),
        samples=Samples(tables),
        audit=Audit(tables, partition, clock, new_id),
        clock=clock,
        new_id=new_id,
    )


@asynccontextmanager
async def sign_in(settings: Settings) -> AsyncIterator[Dataverse]:
    """Return a Dataverse client for the user of this machine (az login, or identity AZURE_CLIENT_ID), not for the app."""
    tokens = Tokens(settings.dataverse_url, os.environ.get("AZURE_CLIENT_ID"))
    try:
        async with _client(settings) as client:
            yield Dataverse(Connection(settings.dataverse_url, client, tokens, settings.write_timeout_seconds))
    finally:
        await tokens.close()


def environment_key(url: str) -> str:
    """Return the partition of an environment's state: its host and port."""
    return key_text(urlsplit(url).netloc.lower().replace(":", "-"))


def new_id() -> str:
    """Return a random 64-bit ID in hex."""
    return secrets.token_hex(8)


def new_run_id() -> str:
    """Return the id of a new run: its time in UTC, to read and to sort by, and chance."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}"


def is_authenticated() -> bool:
    """Whether App Service Authentication stands before this app."""
    return authentication_is_on(os.environ)


def check_environment() -> None:
    """Raise ConfigurationError when a LINKER_ setting that is there is unknown or malformed.

    Switches on strict typing of durable payloads, wherever the app runs: else azure-functions imports any class that a
    stored payload names (azure/functions/_durable_functions.py).
    """
    os.environ["AZURE_FUNCTIONS_DURABLE_STRICT_TYPING"] = "true"
    settings_module.check()


def check_start() -> None:
    """Raise ConfigurationError when the app cannot run with the settings as they are."""
    settings_module.load()


def _tables(settings: Settings) -> AzureTables:
    if settings.storage is not None:
        return AzureTables(connection_string=settings.storage.get_secret_value())
    return AzureTables(endpoint=settings.storage_table_service_uri or "", credential=Identity(settings.client_id))


def _insights(settings: Settings, client: httpx.AsyncClient, tokens: Tokens) -> Insights | None:
    if not settings.insights_url or not settings.insights_instance_id:
        return None
    key = settings.insights_key.get_secret_value() if settings.insights_key else None
    instance, workflow = settings.insights_instance_id, settings.insights_workflow
    return Insights(settings.insights_url, instance, client, tokens, key=key, workflow=workflow)


def _client(settings: Settings) -> httpx.AsyncClient:
    addresses = [address for address in (settings.dataverse_url, settings.insights_url) if address]
    return httpx.AsyncClient(
        follow_redirects=False,
        headers={"Accept-Encoding": CODINGS},
        event_hooks={"request": [only_to(addresses)], "response": [bound_answer]},
        limits=httpx.Limits(max_connections=100, max_keepalive_connections=100),
        cookies=_no_cookies(),
    )


def _no_cookies() -> Any:
    """A jar that keeps nothing: an affinity cookie sent back would hold us on one server (docs/reference/dataverse.md 1.5)."""
    from http.cookiejar import CookieJar, DefaultCookiePolicy

    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))
