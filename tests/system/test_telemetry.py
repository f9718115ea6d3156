"""What reaches Application Insights when the app runs: the real exporter sends it, and an endpoint of ours takes it in.

Every query of workbook and alert rules has to find in it what it reads, and no person may be found in it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.infra.queries import Query, queries
from tests.infra.templates import INFRA, stored

from .ingestion import Ingestion, ingestion
from .world import SAMPLE, TABLES, World, until, world

# What Azure deploys, and everything at once instead of after a minute.
SETTINGS = {
    **{
        name: stored(INFRA / "prod.snapshot.json").settings[name]
        for name in ("PYTHON_APPLICATIONINSIGHTS_LOGGER_NAME", "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS")
    },
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
    "OTEL_TRACES_SAMPLER": "always_on",
    "OTEL_METRIC_EXPORT_INTERVAL": "500",
    "OTEL_BSP_SCHEDULE_DELAY": "200",
    "LOCAL_HOST_LOG_LEVEL": "WARNING",  # the default of Python, and of Azure's worker
}
FAULTS = [
    {"kind": "requests_limit", "operation": "UpdateMultiple", "table": "contact", "retry_after_s": 1},
    {"kind": "rows_deleted", "table": "lead", "row_share": 0.1, "skip": 1},  # the first write of a table is one row
]


@dataclass(frozen=True, slots=True)
class Observed:
    """Two runs, the first throttled and with rows that vanish, and what was seen of them."""

    taken: Ingestion
    runs: tuple[dict[str, Any], ...]
    people: frozenset[str]  # what may not be found: keys of rows and customers


@pytest.fixture(scope="module")
def observed(tables: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Observed]:
    with ExitStack() as stack:
        taken, connection = stack.enter_context(ingestion())
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        logs = tmp_path_factory.mktemp("logs")
        made = stack.enter_context(world(tables, logs, "--load", str(SAMPLE)))
        made.kill_host()
        patch.setenv("PYTHONPATH", os.fspath(Path(__file__).parent / "worker"))
        made.start_host(**SETTINGS, APPLICATIONINSIGHTS_CONNECTION_STRING=connection)
        people = frozenset(key for table in TABLES for key, profile in made.truth(table).items() if profile)
        made.sandbox.admin("POST", "faults", FAULTS)
        first = made.publish()
        made.unify(move=0.1)
        runs = (first, made.publish())
        for run in runs:  # its orchestration reports a moment after the run shows its end
            until(lambda one=run["id"]: made.instance(one)["runtimeStatus"], lambda shown: shown == "Completed")
        stop(made)
        yield Observed(taken, runs, people)


def stop(made: World) -> None:
    """Let the host end in order: it sends what it still has."""
    made.host.process.terminate()
    made.host.process.wait()


def test_a_run_is_reported_when_it_begins_and_when_it_ends(observed: Observed) -> None:
    ids = [run["id"] for run in observed.runs]
    assert [one["run"] for one in observed.taken.messages("Linking run began")] == ids
    ended = observed.taken.messages("Linking run ended")
    assert [(one["run"], one["status"]) for one in ended] == [(run["id"], run["status"]) for run in observed.runs]
    assert [int(one["rowsRead"]) for one in ended] == [run["counts"]["rowsRead"] for run in observed.runs]


def test_every_log_line_of_an_activity_names_its_run(observed: Observed) -> None:
    ids = {run["id"] for run in observed.runs} | {""}
    assert {one["properties"].get("run") for one in observed.taken.of("MessageData")} <= ids


def test_there_are_spans_of_run_table_shard_and_request(observed: Observed) -> None:
    spans = {one["name"]: one["properties"] for one in observed.taken.of("RemoteDependencyData")}
    assert spans["linking run"]["linker.run"] == observed.runs[1]["id"]
    assert spans["linking table"]["linker.table"] in TABLES
    assert {"linker.run", "linker.table", "linker.shard"} <= spans["link_shard"].keys()
    assert spans["POST contacts"]["linker.target"] == "contacts"


def test_a_request_that_was_refused_is_a_failed_dependency(observed: Observed) -> None:
    requests = [one for one in observed.taken.of("RemoteDependencyData") if "linker.target" in one["properties"]]
    assert {(one["properties"]["linker.answer"], one["success"]) for one in requests} >= {("200", True), ("429", False)}


def test_rows_are_counted_by_outcome_and_issues_by_code(observed: Observed) -> None:
    metrics = observed.taken.metrics()
    assert {"linked", "unchanged", "rejected"} <= {one["outcome"] for one in metrics["linker.rows"]}
    assert {one["code"] for one in metrics["linker.row_issues"]} == {"RowNotFound"}
    assert {one["use"] for one in metrics["linker.blocks"]} == {"read"}
    assert {"200", "204", "429"} <= {one["status"] for one in metrics["linker.dataverse.requests"]}


@pytest.mark.parametrize("query", queries(), ids=lambda query: query.name)
def test_a_query_finds_what_it_reads(observed: Observed, query: Query) -> None:
    if query.table == "Usage":  # Azure Monitor's own
        return
    if query.table == "AppDependencies":
        found = [one["properties"] for one in observed.taken.of("RemoteDependencyData")]
        assert query.properties <= {name for one in found for name in one}
        return
    emitted = {name: [one] for name in query.names for one in observed.taken.messages(name)} | observed.taken.metrics()
    assert query.names
    for name in query.names:
        assert query.properties <= {member for one in emitted[name] for member in one}, name


def test_no_person_can_be_found_in_it(observed: Observed) -> None:
    text = json.dumps(observed.taken.items).lower()
    assert observed.people
    assert [key for key in observed.people if key.lower() in text or key.replace("-", "").lower() in text] == []
    assert "filter=" not in text
