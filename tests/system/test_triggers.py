"""Every trigger over the whole app: events, the timer with and without Customer Insights, the daily timers."""

import json
import re
from pathlib import Path
from typing import Any

import httpx

from linker.core.runs.workflow_jobs import HUB

from .conftest import MakeWorld
from .world import SAMPLE, World, until

LOADED = ("--load", str(SAMPLE))
EVENTS = {"LINKER_EVENTS__fullyQualifiedNamespace": "local"}
ALONE = {"LINKER_INSIGHTS_URL": "", "LINKER_INSIGHTS_INSTANCE_ID": "", "LINKER_UNKNOWN_FACTS": "warn"}


def hub_of(world: World) -> str:
    return f"{world.host.ready['url']}/admin/eventhubs/{HUB}"


def shown(world: World, after: Any = None) -> dict[str, Any]:
    """The run that the status shows once it is another one than `after`, when it has ended."""
    before = after["id"] if after else ""
    found = until(lambda: world.app.status()["run"], lambda run: bool(run) and run["id"] != before)
    return world.ended(found)


def runs(world: World) -> list[dict[str, Any]]:
    answer = httpx.get(f"{world.host.ready['url']}/api/runs", timeout=120)
    return list(answer.raise_for_status().json()["value"])


def test_the_events_of_a_unification_start_one_run_for_it(make: MakeWorld) -> None:
    """Of the ten messages that a unification emits two ask for a run, and they ask for the same one.

    Rows are visible at once: otherwise a run that does not wait sees old ones, and another run follows it.
    """
    world = make(*LOADED, "--switch", "stale_s=0", **EVENTS)
    world.sandbox.admin("POST", "config", {"events_url": hub_of(world)})
    done = world.unify(move=0.1)
    run = shown(world)
    assert (run["status"], run["trigger"], run["jobs"]) == ("Successful", "event", [done["jobId"]])
    assert {table: world.links(table) for table in ("contact", "lead")} == {
        table: world.truth(table) for table in ("contact", "lead")
    }
    assert world.app.publish(done["jobId"])["id"] == run["id"]
    assert len(runs(world)) == 1


def test_events_that_are_none_stop_neither_the_others_nor_the_app(make: MakeWorld) -> None:
    world = make(*LOADED, **EVENTS)
    told = world.sandbox.admin("GET", "events")
    foreign = json.loads(json.dumps(told).replace(world.sandbox.ready["instanceId"], "another"))
    batch = [{"records": 1}, "no json", {"records": ["?"]}, *foreign]
    assert httpx.post(hub_of(world), json=batch, timeout=120).status_code == 202
    assert httpx.post(hub_of(world), json=[*batch, *told], timeout=120).status_code == 202
    run = shown(world)
    assert (run["status"], run["jobs"]) == ("Successful", [world.sandbox.last_job()])
    assert len(runs(world)) == 1
    malformed = "of the records that arrived are malformed"
    log = until(lambda: Path(world.host.log).read_text(encoding="utf-8"), lambda log: malformed in log)
    assert "Traceback" not in log


def test_events_that_meet_an_unreachable_storage_fail_so_that_they_are_given_again(
    make: MakeWorld, tables: str
) -> None:
    world = make(*LOADED, **EVENTS, LINKER_STORAGE=re.sub(r":\d+/", ":9/", tables))
    assert httpx.post(hub_of(world), json=world.sandbox.admin("GET", "events"), timeout=120).status_code == 202
    log = until(lambda: Path(world.host.log).read_text(encoding="utf-8"), lambda log: "failed; it is called" in log)
    assert "'on_events' failed; it is called again 20 times at most" in log
    assert "on_events started nothing and is to be tried again" in log


def test_without_customer_insights_the_timer_finds_what_changed(make: MakeWorld) -> None:
    world = make(*LOADED, LINKER_POLL="true", **ALONE)
    world.tick("poll_unification")
    first = shown(world)
    assert (first["trigger"], first["jobs"], first["counts"]["linked"]) == ("timer", [], 90)
    moved = world.unify(move=0.1)["moved"]
    world.tick("poll_unification")
    second = shown(world, first)
    assert (second["mode"], second["counts"]["linked"]) == ("incremental", moved)
    assert len(runs(world)) == 2


def test_the_daily_verify_run_repairs_what_a_user_changed(make: MakeWorld) -> None:
    world = make(*LOADED, LINKER_VERIFY="true")
    first = world.publish()
    truth = world.truth("contact")
    row, other = next(iter(truth)), next(reversed(truth.values()))
    assert truth[row] != other
    world.edit_link("contact", row, other)
    world.tick("verify_links")
    run = shown(world, first)
    assert (run["status"], run["mode"], run["trigger"]) == ("Completed with warnings", "verify", "timer")
    assert (run["counts"]["linked"], run["counts"]["unchanged"]) == (1, 89)
    assert "another writer had changed and that were set right: 1" in run["statusDetail"]
    assert world.links("contact") == truth


def test_what_is_missing_shows_as_not_started_until_it_is_there(make: MakeWorld) -> None:
    world = make(*LOADED, LINKER_POLL="true", LINKER_CLIENT_ID="nobody")
    world.tick("poll_unification")
    first = shown(world)
    assert world.app.status()["status"] == "Not started"
    assert "No token" in first["statusDetail"]
    world.tick("poll_unification")
    assert shown(world, first)["status"] == "Not started"
    assert world.counted("rowsWritten") == 0
    world.kill_host()
    world.start_host(LINKER_CLIENT_ID="")
    world.tick("poll_unification")
    last = until(lambda: world.app.status()["run"], lambda run: run["status"] == "Successful")
    assert (last["jobs"], last["counts"]["linked"]) == ([world.sandbox.last_job()], 90)


def test_a_run_waits_for_what_the_unification_is_still_to_write(make: MakeWorld) -> None:
    """The event comes when the merge has ended; the profiles come later."""
    world = make(*LOADED, LINKER_SETTLE_MINUTES="0.02")
    assert world.publish()["status"] == "Successful"
    job = world.sandbox.last_job()
    told = {"jobId": f"after {job}", "startedAt": "2099-01-01T00:00:00Z"}
    waiting = httpx.post(f"{world.host.ready['url']}/api/unification-events", json=told, timeout=120).json()
    until(lambda: world.app.run(waiting["id"]), lambda run: "first changes" in run["statusDetail"])
    assert world.app.run(waiting["id"])["status"] == "Queued"
    httpx.post(f"{world.host.ready['url']}/api/runs/{waiting['id']}/cancel", timeout=120)
    assert world.ended(waiting)["status"] == "Canceled"


def test_the_purge_runs_against_the_real_task_hub(make: MakeWorld) -> None:
    world = make(*LOADED)
    world.tick("purge_old")
    until(lambda: Path(world.host.log).read_text(encoding="utf-8"), lambda log: "Deleted: 0 orchestrations" in log)
