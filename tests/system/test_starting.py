"""What starts a run, what stops it from starting, and how requests come together."""

import httpx
import pytest

from sandbox.demo.children import ChildError

from .conftest import MakeWorld
from .world import SAMPLE, World, until


def test_an_environment_for_business_accounts_is_skipped_with_the_reason(fresh: World) -> None:
    fresh.sandbox.admin("POST", "environment", {"isB2B": True, "isB2C": False})
    run = fresh.publish()
    assert run["status"] == "Skipped"
    assert run["statusDetail"].startswith("Backstamping job skipped")
    assert "B2B" in run["statusDetail"]
    assert fresh.counted("rowsWritten") == 0
    assert fresh.app.status()["status"] == "Skipped"


def test_the_same_unification_reported_twice_is_one_run(fresh: World) -> None:
    job = fresh.sandbox.last_job()
    first, meanwhile = fresh.app.publish(job), fresh.app.publish(job)
    assert fresh.ended(first)["status"] == "Successful"
    assert meanwhile["id"] == first["id"] == fresh.app.publish(job)["id"]
    assert fresh.counted("rowsWritten") == 90


def test_a_unification_that_was_not_reported_is_found_by_the_timer_once(make: MakeWorld) -> None:
    world = make("--load", str(SAMPLE), LINKER_POLL="true")
    world.tick("poll_unification")
    found = until(lambda: world.app.status()["run"], bool)
    assert world.ended(found)["trigger"] == "timer"
    assert (found["jobs"], world.counted("rowsWritten")) == ([world.sandbox.last_job()], 90)
    assert world.app.publish(world.sandbox.last_job())["id"] == found["id"]


def test_requests_during_a_run_become_one_run_that_can_be_read_at_once(fresh: World) -> None:
    with fresh.holding(operation="UpdateMultiple"):
        running = fresh.app.publish(fresh.sandbox.last_job())
        merged = [fresh.app.request(mode=mode) for mode in ("incremental", "full", "incremental")]
        assert len({run["id"] for run in merged} - {running["id"]}) == 1
        assert [fresh.app.run(run["id"])["status"] for run in merged] == ["Queued"] * 3
    assert fresh.ended(running)["status"] == "Successful"
    after = fresh.ended(merged[0])
    assert (after["status"], after["mode"], after["counts"]["unchanged"]) == ("Successful", "full", 90)


def test_a_request_answers_where_its_run_can_be_read(shown: World) -> None:
    with httpx.Client(base_url=shown.host.ready["url"], timeout=120) as client:
        answer = client.post("/api/runs", json={"mode": "verify", "dryRun": True, "tables": ["lead"]})
        assert answer.status_code == 202
        found = client.get(answer.headers["Location"]).json()
        assert (found["id"], found["requestedTables"]) == (answer.json()["id"], ["lead"])
        assert client.get("/api/runs/20200101T000000Z-00000000").status_code == 404
        assert client.post("/api/runs", json={"mode": "everything"}).status_code == 400
    assert [table["table"] for table in shown.ended(found)["tables"]] == ["lead"]


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        pytest.param({"LINKER_DATAVERSE_URL": ""}, "LINKER_DATAVERSE_URL", id="missing"),
        pytest.param({"LINKER_SETTLE_MINUTES": "soon"}, "LINKER_SETTLE_MINUTES", id="malformed"),
        pytest.param({"LINKER_SETLE_MINUTES": "1"}, "Did you mean LINKER_SETTLE_MINUTES", id="unknown"),
    ],
)
def test_a_wrong_setting_stops_the_start_with_its_name(shown: World, settings: dict[str, str], named: str) -> None:
    with pytest.raises(ChildError, match=named):
        shown.start_host(**settings)
