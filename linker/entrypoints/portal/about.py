"""The About page: which app this is, how it is set up, and what starts its runs. It shows no secret."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import SecretStr

from linker import VERSION, build
from linker.entrypoints.http.messages import Reply
from linker.entrypoints.http.operations import Call, operation
from linker.entrypoints.portal.render import render
from linker.entrypoints.portal.views.azure_links import workbooks_url
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
