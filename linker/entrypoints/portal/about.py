"""The About and Audit pages: which app this is, how it is set up, what starts its runs, and what people did in it by hand.

No secret is shown.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr

from linker import VERSION, build
from linker.core.roles import Role
from linker.entrypoints.http.messages import Reply, first_of
from linker.entrypoints.http.operations import Call, operation
from linker.entrypoints.portal.render import link, render
from linker.entrypoints.portal.views.rows_view import line_of
from linker.entrypoints.portal.views.words import workbooks_url
from linker.services.run_requests import current_pause
from linker.settings import Settings, names, triggers_of


@operation("GET", "/portal/about")
async def show_about(call: Call) -> Reply:
    """Show the version, the identity, the storage, the triggers and the settings in force."""
    deps = call.deps
    run, _ = await deps.runs.mirrored()
    return await render(
        call,
        "about.html",
        version=VERSION,
        build=build(),
        workbooks=workbooks_url(deps.settings.workspace_id or ""),
        run=run,
        pause=await current_pause(deps),
        identity=deps.settings.client_id or "system-assigned identity",
        storage=_storage_of(deps.settings),
        triggers=triggers_of(deps.settings, deps.clock()),
        settings=shown_settings(deps.settings),
        capabilities=await deps.capability_store.load(),
    )


def shown_settings(settings: Settings) -> tuple[tuple[str, str, bool], ...]:
    """Return each setting with its value as text, and whether it differs from the default. A secret is only `set`."""
    fields = type(settings).model_fields
    return tuple(
        (name, _show_value(value := getattr(settings, field)), value != fields[field].default)
        for name, field in zip(names(), fields, strict=True)
    )


def _show_value(value: object) -> str:
    if value is None or value in ("", ()):
        return "not set"
    if isinstance(value, SecretStr):
        return "set"
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _storage_of(settings: Settings) -> str:
    if settings.storage_table_service_uri:
        return urlsplit(settings.storage_table_service_uri).netloc
    return "a connection string (LINKER_STORAGE)"


LINES = 50


class AuditQuery(BaseModel):
    """From which entry on."""

    after: Annotated[str, Field(max_length=200)] = ""


@operation("GET", "/portal/audit", role=Role.ADMIN, query=AuditQuery)
async def show_audit(call: Call[None, AuditQuery]) -> Reply:
    """Show the manual actions, newest first, page by page."""
    entries, more = await first_of(call.deps.audit.entries(call.query.after), LINES)
    following = link("/audit", after=entries[-1].id) if more else ""
    return await render(call, "audit.html", lines=[line_of(entry) for entry in entries], more=following)
