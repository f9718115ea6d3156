"""Azure Monitor records: which of them report a unification that ended well, and that none stops the others."""

import json
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.core.runs.workflow_jobs import MAX_JOBS, Unifications, read_events

INSTANCE = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
START = "2026-11-18T10:00:00.000Z"
START_S = datetime.fromisoformat(START).timestamp()
RESOURCE = f"/SUBSCRIPTIONS/S/RESOURCEGROUPS/R/PROVIDERS/MICROSOFT.D365CUSTOMERINSIGHTS/INSTANCES/{INSTANCE.upper()}"

type Json = dict[str, Any]


def properties(job: str = "job", **others: object) -> Json:
    known = {"eventType": "WorkflowEvent", "workflowJobId": job, "instanceId": INSTANCE, "startTimestamp": START}
    return {name: value for name, value in (known | others).items() if value is not None}


def record(operation: str = "Merge.TaskCompleted", result: str = "Successful", **others: object) -> Json:
    known = {"time": START, "resourceId": RESOURCE, "operationName": operation, "resultType": result}
    return known | {"category": "Operational", "properties": properties()} | others


def body(*records: object) -> bytes:
    return json.dumps({"records": records}).encode()


FOUND = Unifications(("job",), START_S)
IGNORED, MALFORMED = Unifications(ignored=1), Unifications(malformed=1)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(body(record()), FOUND, id="merge"),
        pytest.param(body(record("Merge.WorkflowCompleted")), FOUND, id="a workflow of its own"),
        pytest.param(body(record("ProfileStore.TaskCompleted")), FOUND, id="profiles written"),
        pytest.param(body(record("MERGE.taskcompleted", "successful")), FOUND, id="in other letters"),
        pytest.param(body(record(properties=json.dumps(properties()))), FOUND, id="properties as text"),
        pytest.param(body(record(properties=properties(instanceId=None))), FOUND, id="instance in the resource alone"),
        pytest.param(body(record())[:-1] + b', "source": "monitor"}', FOUND, id="more beside the records"),
        pytest.param(body(record(), record()), FOUND, id="told twice"),
        pytest.param(body(record(properties=properties(startTimestamp=None))), Unifications(("job",)), id="no start"),
        pytest.param(
            body(record(properties=properties(startTimestamp=None, submittedTimestamp=START))), FOUND, id="submitted"
        ),
        pytest.param(
            body(record(properties=properties(startTimestamp=START[:-1]))), FOUND, id="a time without an offset"
        ),
        pytest.param(
            body(record(properties=properties(startTimestamp="soon"))), Unifications(("job",)), id="no time at all"
        ),
        pytest.param(body(record("Merge.TaskStarted", "Running")), IGNORED, id="started"),
        pytest.param(body(record(result="Failure")), IGNORED, id="failed"),
        pytest.param(body(record("Segmentation.WorkflowCompleted")), IGNORED, id="another operation"),
        pytest.param(body(record("Segmentation", properties=None)), IGNORED, id="another operation, its own shape"),
        pytest.param(body(record(properties=properties(eventType="ApiEvent"))), IGNORED, id="another event"),
        pytest.param(body(record(properties=properties(instanceId="another"))), IGNORED, id="another instance"),
        pytest.param(b"no json", MALFORMED, id="no JSON"),
        pytest.param(b"\xff\xfe", MALFORMED, id="no text"),
        pytest.param(b"[]", MALFORMED, id="no object"),
        pytest.param(b'{"records": {}}', MALFORMED, id="records are no list"),
        pytest.param(b"{}", MALFORMED, id="no records"),
        pytest.param(body("text"), MALFORMED, id="a record is no object"),
        pytest.param(body({"resultType": "Successful"}), MALFORMED, id="no operation"),
        pytest.param(body(record(properties="no json")), MALFORMED, id="properties are no JSON"),
        pytest.param(body(record(properties=properties(None))), MALFORMED, id="no job"),
        pytest.param(body(record(properties=properties("a\nb"))), MALFORMED, id="no job id"),
        pytest.param(b'{"records": []}', Unifications(), id="empty"),
    ],
)
def test_a_message(message: bytes, expected: Unifications) -> None:
    assert read_events([message], INSTANCE) == expected


def test_a_malformed_record_does_not_keep_the_others_from_being_read() -> None:
    told = read_events([b"?", body("text", record()), body(record("Search.TaskCompleted"))], INSTANCE)
    assert told == Unifications(("job",), START_S, ignored=1, malformed=2)


def test_without_an_instance_every_instance_counts() -> None:
    assert read_events([body(record(properties=properties(instanceId="another")))], None).jobs == ("job",)


def test_of_very_many_jobs_the_newest_are_kept() -> None:
    many = [
        record(properties=properties(f"job{day}", startTimestamp=f"2026-10-{day:02}T00:00:00Z"))
        for day in range(MAX_JOBS + 5, 0, -1)
    ]
    told = read_events([body(*many)], INSTANCE)
    assert told.jobs == tuple(f"job{day}" for day in range(6, MAX_JOBS + 6))
    assert told.job_start == datetime.fromisoformat(f"2026-10-{MAX_JOBS + 5:02}T00:00:00Z").timestamp()


NAMES = st.sampled_from(["records", "properties", "operationName", "resultType", "workflowJobId", "eventType", "x"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(NAMES, inner),
)


@given(st.lists(st.binary() | JSON.map(lambda value: json.dumps(value).encode()), max_size=4))
def test_nothing_that_arrives_raises(messages: list[bytes]) -> None:
    good = body(record())
    assert read_events([*messages, good], INSTANCE).jobs[-1:] == ("job",)
