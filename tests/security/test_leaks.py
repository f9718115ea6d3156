"""Whatever a run with faults leaves behind holds no secret and names no person: logs, telemetry, histories, stored state.

The app breaks in an activity, in an answer and in a tick, with all that it knows in the words of its errors.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from azure.data.tables import TableServiceClient

from linker.bootstrap import environment_key
from linker.core.keys import row_key
from linker.core.linking.hash_blocks import hash_link
from linker.core.linking.shards import Claim, hash_wish
from linker.core.model import Link
from sandbox.demo.children import app_settings, sandbox_process
from sandbox.demo.clients import Sandbox
from tests.fakes.stored_state import forget_environment
from tests.history_replay.record import IMPATIENT
from tests.system.ingestion import ingestion
from tests.system.test_telemetry import SETTINGS as TELEMETRY
from tests.system.world import ROOT, SAMPLE, TABLES, read, until

from .leaks import Hidden, secrets_of, spellings, texts_in

KEY, SUBSCRIPTION = "function-key-of-the-tests", "subscription-key-of-the-tests"
FAULTS = [
    {"kind": "requests_limit", "operation": "UpdateMultiple", "retry_after_s": 1},
    {"kind": "unauthorized", "operation": "$batch", "skip": 2},
    {"kind": "server_error", "operation": "UpdateMultiple", "table": "lead"},
    {"kind": "rows_deleted", "table": "contact", "row_share": 0.1, "rows_above": 1},
]
PERSONAL = ("firstname", "lastname", "address1_line1", "governmentid", "emailaddress1")
SHORTEST = 6  # characters; shorter names stand in words of ours


@dataclass(frozen=True, slots=True)
class Left:
    """What a host left behind, place by place, and what was hidden in what it worked on."""

    told: dict[str, str]  # logs, telemetry, histories
    stored: dict[str, str]  # Table Storage
    secrets: Hidden
    people: Hidden
    keys: Hidden
    runs: tuple[dict[str, Any], ...]
    environment: str  # partition of its state


@pytest.fixture(scope="module")
def left(azurite: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Left]:
    folder = tmp_path_factory.mktemp("left")
    with ExitStack() as stack:
        taken, connection = stack.enter_context(ingestion())
        child = stack.enter_context(sandbox_process(["--no-azurite", "--load", str(SAMPLE)], folder))
        forget_environment(azurite, child.ready["dataverse"])
        sandbox = stack.enter_context(Sandbox({**child.ready, "tables": azurite}))
        settings = {
            **app_settings(sandbox.ready),
            **TELEMETRY,
            **IMPATIENT,
            "LINKER_INSIGHTS_KEY": SUBSCRIPTION,
            "LOCAL_FUNCTION_KEY": KEY,
            "LOCAL_HOST_LOG_LEVEL": "INFO",
            "APPLICATIONINSIGHTS_CONNECTION_STRING": connection,
            "HISTORIES": str(folder / "histories"),
        }
        runs, output = worked(sandbox, settings, folder)
        histories = texts_in(folder / "histories")
        told = texts_in(folder) | histories | {"stdout": output, "telemetry": json.dumps(taken.items)}
        own = {"function key": frozenset({KEY}), "subscription key": frozenset({SUBSCRIPTION})}
        hidden = Hidden({**secrets_of(sandbox.ready).words, **own})
        yield Left(
            told, stored(azurite), hidden, people(), keys(sandbox), runs, environment_key(sandbox.ready["dataverse"])
        )


def worked(sandbox: Sandbox, settings: dict[str, str], folder: Path) -> tuple[tuple[dict[str, Any], ...], str]:
    """Let a host do two runs, and ask it for things; return the runs and what it printed."""
    command = [sys.executable, "-m", "tests.security.talkative_host"]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "system" / "worker")])
    with (folder / "host.log").open("w", encoding="utf-8") as errors:
        host = subprocess.Popen(
            command,
            env={**os.environ, **settings, "PYTHONPATH": path},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            cwd=ROOT,
        )
        with host:
            try:
                assert host.stdout is not None
                ready = json.loads(host.stdout.readline())
                with httpx.Client(
                    base_url=ready["url"], headers={"x-functions-key": ready["key"]}, timeout=120
                ) as client:
                    runs = asked(sandbox, client)
                    for run in runs:  # its orchestration, which is saved as a whole, ends a moment after it
                        until(lambda one=run["id"]: instance(client, ready, one), lambda shown: shown == "Completed")
            finally:
                host.terminate()
            return runs, host.stdout.read()


def instance(client: httpx.Client, ready: dict[str, Any], run: str) -> str:
    """Return the status of the orchestration of a run."""
    headers = {"x-functions-key": ready["keys"]["durabletask"]}
    answer = client.get(f"/runtime/webhooks/durabletask/instances/{run}", headers=headers)
    return str(answer.raise_for_status().json()["runtimeStatus"])


def asked(sandbox: Sandbox, client: httpx.Client) -> tuple[dict[str, Any], ...]:
    assert client.get("/api/runs").status_code == 500
    assert client.get(f"/api/runs?code={KEY}").status_code == 200
    ended(client, client.post("/api/runs", json={"dryRun": True}))
    sandbox.admin("POST", "faults", FAULTS)
    first = published(client, sandbox.last_job())
    second = published(client, sandbox.unify(move=0.1)["jobId"])
    for row in [*sandbox.truth("contact")][:5]:
        client.get(f"/api/rows/contact/{row}")
    client.post("/api/runs", content=b"{" * 1_000, headers={"x-forged": "a"})
    client.get("/api/portal")
    return first, second


def published(client: httpx.Client, job: str) -> dict[str, Any]:
    """Publish a unification and return its run once it has ended."""
    return ended(client, client.post("/api/unification-events", json={"jobId": job}))


def ended(client: httpx.Client, answer: httpx.Response) -> dict[str, Any]:
    """Return the run that an answer promises, once it has ended."""
    run = answer.raise_for_status().json()
    return until(lambda: client.get(f"/api/runs/{run['id']}").json(), lambda shown: bool(shown["endedAt"]))


def stored(connection: str) -> dict[str, str]:
    """Return everything in a Table Storage as text, bytes in hex, by the name of its table."""
    with TableServiceClient.from_connection_string(connection) as service:
        return {
            table.name: "\n".join(
                json.dumps(dict(entity), default=lambda value: value.hex() if isinstance(value, bytes) else str(value))
                for entity in service.get_table_client(table.name).list_entities()
            )
            for table in service.list_tables()
        }


def people() -> Hidden:
    """Return what the sample says of people. CustomerIds are theirs, too: Customer Insights knows who they are."""
    words = set[str]()
    for table in TABLES:
        with (SAMPLE / f"{table}.csv").open(encoding="utf-8", newline="") as file:
            words |= {row.get(name) or "" for row in csv.DictReader(file) for name in PERSONAL}
    customers = {row["msdynci_customerid"] for row in read(SAMPLE, "customerprofile")}
    return Hidden(
        {"person": frozenset(word for word in words if len(word) >= SHORTEST), "customer": spellings(customers)}
    )


def keys(sandbox: Sandbox) -> Hidden:
    rows = [row for table in TABLES for row in sandbox.truth(table)]
    return Hidden({"row key": spellings(rows)})


# ---- the material is what it should be ----


def test_the_run_went_through_faults_and_a_break_and_its_material_is_all_there(left: Left) -> None:
    first, second = left.runs
    assert first["counts"]["rejected"] > 0
    assert second["status"] in ("Successful", "Completed with warnings")
    assert {"host.log", "sandbox.log", "stdout", "telemetry"} <= left.told.keys()
    assert any(name.endswith("customerid_backstamping_hydration.jsonl") for name in left.told)
    assert {"linkerstatus", "linkerhashes", "linkererrors"} <= left.stored.keys()
    for run in left.runs:
        assert run["id"] in left.told["telemetry"]
        assert run["id"] in left.stored["linkerstatus"]


def test_what_broke_is_reported_with_its_kind_and_its_place(left: Left) -> None:
    for place in ("host.log", "telemetry"):
        for told in (
            "link_shard broke off",
            "get_runs failed",
            "watch_runs broke off",
            "KeyError",
            "talkative_host.py",
        ):
            assert told in left.told[place], place
    histories = "".join(text for name, text in left.told.items() if name.endswith(".jsonl"))
    assert "link_shard broke off: KeyError" in histories
    items = json.loads(left.told["telemetry"])
    assert [one for one in items if one["data"]["baseType"] == "ExceptionData"]


# ---- nothing is in it ----


def test_no_secret_is_anywhere(left: Left) -> None:
    assert left.secrets.found_in(left.told | left.stored) == []


def test_no_person_is_named_anywhere(left: Left) -> None:
    """But for the few rows that a dry run shows as examples, with the CustomerId that each would be linked to."""
    assert left.people.found_in(left.told | left.stored) == ["linkererrors: customer"]


def test_row_keys_stay_in_the_stored_state(left: Left) -> None:
    """Blocks and row errors have to name rows; logs, telemetry and histories do not."""
    assert left.keys.found_in({name: text for name, text in left.told.items() if name != "sandbox.log"}) == []
    assert left.keys.found_in(left.stored) != []


def test_hashes_show_no_customer_without_the_salt(left: Left) -> None:
    """With the hashes and even every CustomerId, none is found in them; the salt is in another table."""
    entities = [json.loads(line) for line in left.stored["linkerstatus"].splitlines()]
    (found,) = [one for one in entities if (one["PartitionKey"], one["RowKey"]) == (left.environment, "salt")]
    salt = bytes.fromhex(json.loads(found["j00"]))
    rows = read(SAMPLE, "alternatekey")
    claims = [(key, row["msdynci_customerid"]) for row in rows if (key := row_key(row["msdynci_alternatevalue"]))]
    hashes = left.stored["linkerhashes"]
    assert [one for one in claims if hashed(*one, salt) in hashes]
    assert [one for one in claims if hashed(*one, b"") in hashes or hashed(*one, bytes(16)) in hashes] == []
    assert salt.hex() not in hashes


def test_hashes_do_not_show_which_rows_are_of_one_customer() -> None:
    """Two rows of one customer, and two rows with a link to one profile, share no hash."""
    salt, rows = bytes(range(16)), [bytes([number]) * 16 for number in range(50)]
    wishes = {hash_wish(row, Claim("c1"), salt, names_profile=False) for row in rows}
    links = {hash_link(row, Link("00000000-0000-4000-9000-000000000001"), salt) for row in rows}
    assert (len(wishes), len(links), len(wishes & links)) == (50, 50, 0)


def hashed(row: bytes, customer: str, salt: bytes) -> str:
    """Return the wish hash of a row as it is stored."""
    return hash_wish(row, Claim(customer), salt, names_profile=False).to_bytes(8).hex()


def test_no_foreign_word_forged_a_line_of_the_log(left: Left) -> None:
    assert [line for line in left.told["host.log"].splitlines() if line.endswith("linker: forged")] == []


# ---- the search would find it ----


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param('{"governmentid": "2380185"}', ["log: person"], id="in quotes"),
        pytest.param("the row of 2380185.", ["log: person"], id="at the end of a sentence"),
        pytest.param("id=2380185, next", ["log: person"], id="after a sign"),
        pytest.param("a52380185f0", [], id="in a hash"),
        pytest.param("waited 0.2380185 s", [], id="in a fraction"),
        pytest.param("12380185", [], id="in a longer number"),
    ],
)
def test_a_number_is_found_where_it_stands_by_itself(text: str, found: list[str]) -> None:
    assert Hidden({"person": frozenset({"2380185"})}).found_in({"log": text}) == found


@pytest.mark.parametrize("kind", ["secrets", "people", "keys"])
def test_the_search_finds_what_is_put_there(left: Left, kind: str) -> None:
    hidden: Hidden = getattr(left, kind)
    for place, text in (left.told | left.stored).items():
        for words in hidden.words.values():
            assert hidden.found_in({place: text + max(words).upper()})


def test_the_search_knows_tokens_by_their_shape(left: Left) -> None:
    assert left.secrets.found_in({"log": f"Bearer eyJ{'a' * 9}.{'b' * 9}.{'c' * 9}"}) == ["log: token"]
