"""Check a deployed app from outside: its functions, its host, whether it answers, its preflight, and one dry run.

    scripts/smoke <resource group> <app> [--package dist/linker.zip] [--sync 15] [--only functions]

Signed in with `az login`. Exit code 0: all is well. 1: the deployment does not work. 3: the deployment works, and the app may
not link yet; the message names what Dataverse or Customer Insights still needs. Only standard libraries, see scripts/smoke.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ARM, API_VERSION = "https://management.azure.com", "2024-11-01"
# The newest bundle that azure-functions-durable 2.0.0b2 did not yet work with (docs/dev/dependencies.md). Later ones do.
TOO_OLD_BUNDLE = (4, 38, 99_999)
MANIFEST = "functions.json"  # written by scripts/package.py
SYNC_TRIES = 20
ANSWER_TRIES, ANSWER_WAIT_S = 20, 15  # a cold app may answer 404 or 503 first
LOOK_S = 5
MAX_ANSWER_S = 230  # the platform's own limit
DONE = {"Successful", "Completed with warnings"}


class NotWellError(Exception):
    """A check failed; the message says what was found and what to do."""


class NotReadyError(Exception):
    """The deployment works, and the app may not link yet; the message says why."""


@dataclass(frozen=True, slots=True)
class App:
    """A deployed app: where its ARM resource and its pages are, and how a request to it is signed."""

    group: str
    name: str
    resource: str
    url: str
    settings: frozenset[str]
    headers: dict[str, str]


def main(arguments: list[str] | None = None, sleep: Callable[[float], None] = time.sleep) -> int:
    """Run the checks, print one line for each, and return the exit code."""
    options = parser().parse_args(arguments)
    checks: dict[str, Callable[[App], str]] = {
        "functions": lambda app: check_functions(app, options.package, sync_wait_s=options.sync, sleep=sleep),
        "settings": check_settings,
        "health": lambda app: check_health(app, sleep),
        "host": check_host,
        "preflight": check_preflight,
        "dry run": lambda app: check_dry_run(app, options.tables, options.minutes * 60, sleep),
    }
    try:
        app = find_app(options.group, options.app, options.url, signed=not options.only)
        for name, check in checks.items():
            if not options.only or name in options.only:
                print(f"{name:<10} {check(app)}", flush=True)
    except NotReadyError as error:
        print(f"{options.app} is deployed and runs. It may not link yet: {error}", file=sys.stderr)
        return 3
    except NotWellError as error:
        print(f"{options.app} does not work as deployed. {error}", file=sys.stderr)
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the command line."""
    found = argparse.ArgumentParser(prog="scripts/smoke", description="Check a deployed app from outside.")
    found.add_argument("group", help="resource group")
    found.add_argument("app", help="name of the function app")
    found.add_argument("--package", type=Path, default=Path("dist/linker.zip"), help="what was deployed")
    found.add_argument(
        "--sync",
        type=int,
        metavar="SECONDS",
        help=f"ask the platform to read the functions until it lists them, {SYNC_TRIES} times so many seconds apart",
    )
    found.add_argument("--only", action="append", default=[], choices=["functions", "settings", "health", "host"])
    found.add_argument("--url", default="", help="where the app answers, if not under its default host name")
    found.add_argument("--tables", default="", help="tables of the dry run, separated by commas; without it, all")
    found.add_argument("--minutes", type=int, default=30, help="how long the dry run may take")
    return found


def find_app(group: str, name: str, url: str, *, signed: bool) -> App:
    """Return the app with its key, or with a token where LINKER_APP_AUDIENCE names its registration."""
    at = ["--resource-group", group, "--name", name]
    resource, host = az(
        "resource", "show", *at, "--resource-type", "Microsoft.Web/sites", "--query", "[id, properties.defaultHostName]"
    )
    settings = frozenset(az("functionapp", "config", "appsettings", "list", *at, "--query", "[].name"))
    return App(group, name, resource, url or f"https://{host}", settings, credentials(at) if signed else {})


def credentials(at: list[str]) -> dict[str, str]:
    """Return the header that signs requests to the app."""
    if audience := os.environ.get("LINKER_APP_AUDIENCE"):
        token = az("account", "get-access-token", "--resource", audience, "--query", "accessToken")
        return {"Authorization": f"Bearer {token}"}
    return {"x-functions-key": az("functionapp", "keys", "list", *at, "--query", "functionKeys.default")}


# ---- checks ----


def check_functions(app: App, package: Path, *, sync_wait_s: int | None, sleep: Callable[[float], None]) -> str:
    """Hold the functions that the platform lists against those of the package.

    Timers start only for what is listed, and on Flex Consumption the platform was seen to list nothing after a deployment
    until it was asked to read the functions again (Azure/azure-functions-host#10169).
    """
    expected = expected_functions(package, app.settings)
    for attempt in range(1 if sync_wait_s is None else SYNC_TRIES):
        if attempt:
            sleep(sync_wait_s or 0)
        if sync_wait_s is not None:
            run_az("rest", "--method", "post", "--url", arm(app, "host/default/sync"))  # 400 while the host starts
        listed = listed_functions(app)
        if listed == expected:
            return f"{len(listed)} are listed, as in the package"
    missing, more = sorted(expected - listed), sorted(listed - expected)
    raise NotWellError(
        f"The platform lists {len(listed)} functions, and the package has {len(expected)}. "
        f"Missing: {', '.join(missing) or 'none'}. Not in the package: {', '.join(more) or 'none'}. "
        "Timers of missing functions do not start: see 'Functions are missing' in docs/operations.md."
    )


def expected_functions(package: Path, settings: frozenset[str]) -> set[str]:
    """Return the names of the functions that a package has with these app settings."""
    try:
        with zipfile.ZipFile(package) as archive:
            manifest = json.loads(archive.read(MANIFEST))
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise NotWellError(
            f"{package} was not made by `make package`: {error}. Name the package that was deployed."
        ) from error
    more = [names for setting, names in manifest["when"].items() if setting in settings]
    return {*manifest["functions"], *(name for names in more for name in names)}


def listed_functions(app: App) -> set[str]:
    """Return the functions that the platform lists; none while it cannot say."""
    query = ["--resource-group", app.group, "--name", app.name, "--query", "[].name"]
    done = run_az("functionapp", "function", "list", *query)
    names = json.loads(done.stdout or "[]") if done.returncode == 0 else []
    return {name.rpartition("/")[2] for name in names}


def check_settings(app: App) -> str:
    """Check that no connection string is set beside the identity: it would win, and shared keys are off."""
    if "AzureWebJobsStorage" in app.settings:
        raise NotWellError(
            "There is an app setting AzureWebJobsStorage beside AzureWebJobsStorage__blobServiceUri, and it wins. Delete it: "
            f"az functionapp config appsettings delete --resource-group {app.group} --name {app.name} --setting-names "
            "AzureWebJobsStorage (Azure/azure-functions-host#11796)."
        )
    return "storage is reached by the identity"


def check_health(app: App, sleep: Callable[[float], None]) -> str:
    """Wait until the app answers."""
    for attempt in range(ANSWER_TRIES):
        if attempt:
            sleep(ANSWER_WAIT_S)
        status, body = request(app, "GET", "/api/health")
        if status == 200:
            return f"{app.url}/api/health answers"
    raise NotWellError(f"{app.url}/api/health answers {status or 'nothing'}: {body[:300]}")


def check_host(app: App) -> str:
    """Look at the state of the host and at the version of its extensions."""
    found = az("rest", "--method", "get", "--url", arm(app, "host/default/properties/status"))
    status = found.get("properties", found)
    bundle = (status.get("extensionBundle") or {}).get("version", "")
    if status.get("state") != "Running":
        raise NotWellError(
            f"The host is in state {status.get('state')}: {'; '.join(status.get('errors') or ['no reason'])}"
        )
    if not bundle:
        raise NotWellError(
            "The host names no extension bundle. Orchestrations need it: is host.json as in the package?"
        )
    if tuple(int(part) for part in bundle.split(".")) <= TOO_OLD_BUNDLE:
        raise NotWellError(
            f"The extension bundle is {bundle}, and the Durable library needs one above 4.38. Orchestrations would stay "
            "pending: docs/dev/dependencies.md, 'The Durable library is a release candidate'."
        )
    return f"runs {status.get('version')} with extension bundle {bundle}"


def check_preflight(app: App) -> str:
    """Ask what the app may link."""
    found = ask(app, "GET", "/api/preflight")
    details = [found.get("detail"), *(found.get("warnings") or [])]
    if found["severity"] == "blocked":
        raise NotReadyError(" ".join(filter(None, details)) or "no table is ready; see /api/preflight.")
    return ". ".join(filter(None, [found["severity"], *details]))


def check_dry_run(app: App, tables: str, most_s: float, sleep: Callable[[float], None]) -> str:
    """Go all the way without a write to Dataverse, which takes timers, queues, orchestrators and activities."""
    wanted = {"dryRun": True, "tables": [name for name in tables.split(",") if name]}
    run = ask(app, "POST", "/api/runs", wanted)
    waited = 0.0
    while not run.get("endedAt"):
        if waited >= most_s:
            raise NotWellError(
                f"Dry run {run['id']} is {run['status']} after {most_s / 60:.0f} minutes: {run['statusDetail']}"
            )
        sleep(LOOK_S)
        waited += LOOK_S
        run = ask(app, "GET", f"/api/runs/{run['id']}")
    told = f"{run['status']} ({run['id']}). {run.get('statusDetail') or ''}".strip(". ")
    if run["status"] == "Skipped":
        raise NotReadyError(f"the dry run was {told}")
    if run["status"] not in DONE:
        raise NotWellError(f"The dry run ended as {told}")
    return told


# ---- requests ----


def arm(app: App, path: str) -> str:
    """Return the address of a part of the app's ARM resource."""
    return f"{ARM}{app.resource}/{path}?api-version={API_VERSION}"


def ask(app: App, method: str, path: str, body: object = None) -> Any:
    """Return what the app answers as JSON. Raises NotWellError with its words."""
    status, text = request(app, method, path, body)
    if 200 <= status < 300 and text.startswith("{"):
        return json.loads(text)
    sign_in = (
        " The app asks for a sign-in: set LINKER_APP_AUDIENCE to the application id URI of its registration, and give yourself "
        "the app role 'operator'."
    )
    raise NotWellError(
        f"{method} {path} answered {status or 'nothing'}: {text[:300]}{sign_in if status in (200, 302, 401, 403) else ''}"
    )


def request(app: App, method: str, path: str, body: object = None) -> tuple[int, str]:
    """Return status and text of an answer; status 0 and the reason without an answer."""
    data = None if body is None else json.dumps(body).encode()
    headers = {**app.headers, "Content-Type": "application/json"}
    wanted = urllib.request.Request(app.url + path, data, headers, method=method)  # noqa: S310 - https, or a host of this machine
    try:
        with urllib.request.urlopen(wanted, timeout=MAX_ANSWER_S) as answer:  # noqa: S310 - as above
            return answer.status, answer.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError as error:
        return 0, str(error)


def az(*arguments: str) -> Any:
    """Return what the Azure CLI answers as JSON. Raises NotWellError with its words."""
    done = run_az(*arguments)
    if done.returncode:
        raise NotWellError(f"az {' '.join(arguments[:3])} failed: {done.stderr.strip()[:500]}")
    return json.loads(done.stdout or "null")


def run_az(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the Azure CLI."""
    command = ["az", *arguments, "--output", "json"]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own words; az is on PATH


if __name__ == "__main__":
    sys.exit(main())
