"""Which listed job of the Customer Insights API is the newest unification (docs/reference/customer-insights.md 3)."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from linker.adapters import customer_insights
from linker.adapters.customer_insights import NEWEST_JOBS, PASSING, Insights, Job
from tests.fakes.world import StaticTokens

type Json = dict[str, Any]


def job(name: str, hour: int, merge: str | None = "successful", **others: object) -> Json:
    """A job that was submitted in an hour and ended in the next one, with a merge that ended so, if any."""
    tasks = [{"operationType": "map", "taskStatus": "successful"}]
    tasks += [{"operationType": "merge", "taskStatus": merge}] if merge else []
    known: Json = {
        "jobId": name,
        "operationType": "all",
        "jobStatus": "successful",
        "submittedTimestamp": f"2026-11-01T{hour:02}:00:00Z",
        "endTimestamp": f"2026-11-01T{hour + 1:02}:00:00Z",
        "tasks": tasks,
    }
    return known | others


OLD, NEW = job("old", 1), job("new", 3)


@pytest.mark.parametrize(
    ("jobs", "newest"),
    [
        pytest.param([], "", id="no job"),
        pytest.param([OLD, NEW], "new", id="the newest"),
        pytest.param([NEW, OLD], "new", id="in any order"),
        pytest.param([OLD, job("new", 3, merge="failed")], "old", id="its merge failed"),
        pytest.param([OLD, job("new", 3, merge="running", endTimestamp=None)], "old", id="it still merges"),
        pytest.param(
            [OLD, job("new", 3, jobStatus="running", endTimestamp=None)],
            "new",
            id="it has merged and works on segments",
        ),
        pytest.param([OLD, job("new", 3, jobStatus="failed")], "new", id="it has merged and a segment failed"),
        pytest.param([OLD, job("new", 3, merge=None, operationType="match")], "old", id="it matched alone"),
        pytest.param(
            [OLD, job("new", 3, operationType="merge", tasks=None)], "new", id="without tasks its operation counts"
        ),
        pytest.param(
            [OLD, job("new", 3, operationType="match", tasks=[])], "old", id="another operation without tasks"
        ),
        pytest.param([OLD, job("new", 3, tasks=None, jobStatus="failed")], "old", id="failed, without tasks"),
        pytest.param([OLD, job("new", 3, submittedTimestamp=None)], "new", id="the time of submission is missing"),
    ],
)
async def test_the_newest_unification(jobs: list[Json], newest: str) -> None:
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=jobs)))
    found = await Insights("https://api", "one", client, StaticTokens()).last_unification()
    assert (found.id if found else "") == newest


@pytest.mark.parametrize(
    ("jobs", "never"),
    [
        pytest.param([], True, id="no job"),
        pytest.param([job("new", 3, merge="failed")], True, id="no successful merge"),
        pytest.param([OLD], False, id="one"),
        pytest.param([job("new", 3, merge=None)] * NEWEST_JOBS, False, id="older jobs are not listed"),
    ],
)
async def test_whether_there_never_was_a_unification(jobs: list[Json], never: bool) -> None:
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=jobs)))
    assert await Insights("https://api", "one", client, StaticTokens()).has_never_unified() is never


async def test_it_is_reported_with_its_times() -> None:
    client = httpx.AsyncClient(transport=httpx.MockTransport(lambda _: httpx.Response(200, json=[OLD])))
    found = await Insights("https://api", "one", client, StaticTokens()).last_unification()
    assert found == Job("old", "2026-11-01T01:00:00Z", "2026-11-01T02:00:00Z")


def unreachable(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("reset", request=request)


@pytest.mark.parametrize(
    ("first", "asked"),
    [
        *(
            pytest.param(lambda _, status=status: httpx.Response(status), 2, id=str(status))
            for status in sorted(PASSING)
        ),
        pytest.param(unreachable, 2, id="reset"),
        pytest.param(lambda _: httpx.Response(404), 1, id="404 is no passing fault"),
    ],
)
async def test_one_passing_fault_is_not_yet_no_answer(
    first: Callable[[httpx.Request], httpx.Response], asked: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(customer_insights, "PAUSE_S", 0.0)
    answers = iter([first, lambda _: httpx.Response(200, json=[OLD])])
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return next(answers)(request)

    client = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    found = await Insights("https://api", "one", client, StaticTokens()).last_unification()
    assert (isinstance(found, Job), len(requests)) == (asked == 2, asked)
