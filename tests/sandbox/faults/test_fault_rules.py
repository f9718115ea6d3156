"""Which requests a scripted fault is for, how often it fires, and what is said of one that does not fit."""

from typing import Any

import httpx
import pytest

from sandbox.faults import Fault, Faults, InvalidFaultError, read_faults
from sandbox.faults.model import Target
from sandbox.server.app import API_PATH, Sandbox
from tests.sandbox.faults.test_faults import UPDATE

TARGET = Target("POST", f"{API_PATH}{UPDATE}", "contact", "UpdateMultiple", b'{"Targets":[]}', operation_rows=100)


@pytest.mark.parametrize(
    ("matcher", "strikes"),
    [
        pytest.param({}, True, id="everything"),
        pytest.param({"method": "POST"}, True, id="method"),
        pytest.param({"method": "GET"}, False, id="other method"),
        pytest.param({"path": r"contacts/.*Multiple$"}, True, id="path"),
        pytest.param({"path": "leads"}, False, id="other path"),
        pytest.param({"body": '"Targets"'}, True, id="body"),
        pytest.param({"body": "new_"}, False, id="other body"),
        pytest.param({"table": "contact", "operation": "UpdateMultiple"}, True, id="table and operation"),
        pytest.param({"table": "lead"}, False, id="other table"),
        pytest.param({"operation": "Update"}, False, id="other operation"),
        pytest.param({"rows_above": 99}, True, id="big batch"),
        pytest.param({"rows_above": 100}, False, id="batch not above"),
        pytest.param({"overlapping": True}, False, id="rows that nobody else writes"),
    ],
)
def test_matchers(matcher: dict[str, Any], strikes: bool) -> None:
    assert Fault("server_error", **matcher).matches(TARGET) is strikes


@pytest.mark.parametrize(
    ("rule", "pattern"),
    [
        pytest.param({}, "x.........", id="once"),
        pytest.param({"times": 3}, "xxx.......", id="first three"),
        pytest.param({"times": None, "every": 3}, "..x..x..x.", id="every third"),
        pytest.param({"times": 2, "skip": 4}, "....xx....", id="two after four"),
        pytest.param({"times": None, "skip": 1, "every": 4}, "....x...x.", id="every fourth after one"),
        pytest.param({"times": None, "share": 0.0}, "..........", id="never"),
        pytest.param({"times": None, "share": 0.5, "seed": 1}, "x..xxx..xx", id="seeded half"),
    ],
)
def test_how_often(sandbox: Sandbox, rule: dict[str, Any], pattern: str) -> None:
    faults = Faults(sandbox.environment.clock)
    faults.arm([Fault("server_error", **rule)])
    assert "".join("x" if faults.strike_request(TARGET) else "." for _ in range(10)) == pattern


@pytest.mark.parametrize(
    ("document", "told"),
    [
        pytest.param(7, "Input should be a dictionary", id="no object"),
        pytest.param({"kind": "server_error", "every": 0}, "every: Input should be greater", id="one fault"),
        pytest.param(
            [{"kind": "server_error"}, {"kind": "server_error", "every": 0}],
            "fault 2 of 2: every: ",
            id="one of several",
        ),
    ],
)
def test_a_message_shows_which_fault_and_field_do_not_fit(document: object, told: str) -> None:
    with pytest.raises(InvalidFaultError, match=f"^{told}"):
        read_faults(document)


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        pytest.param({"kind": "earthquake"}, "kind", id="unknown kind"),
        pytest.param({"kind": "deadlock", "body": "x"}, "body", id="operation without body"),
        pytest.param({"kind": "dropped_write", "method": "POST"}, "method", id="operation without method"),
        pytest.param({"kind": "server_error", "path": "("}, "path", id="bad expression"),
        pytest.param({"kind": "server_error", "overlapping": True}, "overlapping", id="rows not known yet"),
        pytest.param({"kind": "mapping_changed", "unification": {"moves": 1}}, "moves", id="bad unification"),
        pytest.param({"kind": "mapping_changed", "unification": {"restore": "never"}}, "never", id="no snapshot"),
        pytest.param({"kind": "mapping_changed", "unification": {"take_out": ["nothing"]}}, "nothing", id="no table"),
        pytest.param({"kind": "server_error", "every": 0}, "every", id="never due"),
    ],
)
async def test_a_fault_that_does_not_fit_is_refused(
    admin: httpx.AsyncClient, fault: dict[str, object], named: str
) -> None:
    answer = await admin.post("/faults", json=[{"kind": "server_error"}, fault])
    assert answer.status_code == 400
    assert named in answer.json()["error"]
    assert (await admin.get("/faults")).json()["armed"] == []
