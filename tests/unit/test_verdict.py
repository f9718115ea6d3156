"""What an answer of Dataverse asks of us: the table of dataverse.md 13.3 and 13.4."""

import pytest

from linker.core.throttling.error_classification import Answer, judge, named_rows

ROW = "11111111-1111-1111-1111-11111111111a"
OTHER = "22222222-2222-2222-2222-222222222222"


@pytest.mark.parametrize(
    ("status", "code", "text", "answer"),
    [
        pytest.param(429, "0x80072321", "", Answer.WAIT, id="combined execution time"),
        pytest.param(429, "0x80072322", "", Answer.WAIT, id="number of requests"),
        pytest.param(429, "0x80072326", "", Answer.WAIT, id="concurrent requests"),
        pytest.param(429, "0X80072326", "", Answer.WAIT, id="codes in any case"),
        pytest.param(503, "0x80072327", "", Answer.WAIT, id="a throttle under another status"),
        pytest.param(400, "0x8005F103", "", Answer.WAIT, id="too many requests"),
        pytest.param(429, "", "", Answer.WAIT, id="429 of a gateway"),
        pytest.param(
            429, "0x80071151", "another [EntityCustomization]", Answer.RETRY, id="customisation lock, no throttle"
        ),
        pytest.param(502, "", "<html>", Answer.RETRY, id="502"),
        pytest.param(503, "", "<html>", Answer.RETRY, id="503"),
        pytest.param(504, "", "", Answer.RETRY, id="504"),
        pytest.param(408, "", "", Answer.RETRY, id="408"),
        pytest.param(500, "", "", Answer.RETRY, id="500 that says nothing"),
        pytest.param(400, "0x80044150", "SQL 1205: deadlock victim", Answer.RETRY, id="deadlock"),
        pytest.param(400, "0x80040255", "", Answer.RETRY, id="deadlock swallowed in a plug-in"),
        pytest.param(500, "0x8004A001", "", Answer.RETRY, id="SQL governor"),
        pytest.param(500, "0x80048544", "", Answer.RETRY, id="query engine throttle"),
        pytest.param(500, "0x80048551", "", Answer.RETRY, id="database connection"),
        pytest.param(500, "0x80048553", "", Answer.RETRY, id="database connection 53"),
        pytest.param(500, "0x80048559", "", Answer.RETRY, id="database connection 59"),
        pytest.param(500, "0x80048561", "", Answer.RETRY, id="circuit breaker"),
        pytest.param(500, "0x80073000", "", Answer.RETRY, id="SQL network"),
        pytest.param(500, "0x8004Ed47", "", Answer.RETRY, id="AppLockTimeout"),
        pytest.param(500, "0x80044151", "SQL timeout", Answer.SHRINK, id="SQL timeout"),
        pytest.param(413, "", "", Answer.SHRINK, id="too large"),
        pytest.param(
            404, "0x80040217", f"Contact With Ids = {ROW} Do Not Exist", Answer.ISOLATE, id="rows are missing"
        ),
        pytest.param(404, "0x80040217", "Nicht vorhanden", Answer.ISOLATE, id="a row is missing, in another language"),
        pytest.param(
            404, "", f"contact With Id = {ROW} Does Not Exist", Answer.ISOLATE, id="a row is missing, no code"
        ),
        pytest.param(400, "0x80060891", "", Answer.ISOLATE, id="the profile is missing"),
        pytest.param(404, "0x80060891", "", Answer.ISOLATE, id="the profile is missing, as 404"),
        pytest.param(400, "0x80040265", "", Answer.ISOLATE, id="plug-in abort"),
        pytest.param(403, "0x80048306", "no WriteAccess for record", Answer.ISOLATE, id="row-level access"),
        pytest.param(412, "0x80060882", "", Answer.ISOLATE, id="the row changed"),
        pytest.param(400, "0x80044150", "some other SQL error", Answer.ISOLATE, id="SQL error that is no deadlock"),
        pytest.param(400, "0x80044331", "string too long", Answer.ISOLATE, id="validation"),
        pytest.param(401, "", "", Answer.STOP, id="token refused"),
        pytest.param(403, "0x80040220", "missing prvWriteContact", Answer.STOP, id="privilege"),
        pytest.param(400, "0x80048d19", "payload", Answer.STOP, id="payload is wrong"),
        pytest.param(404, "0x8006088a", "Resource not found for the segment", Answer.STOP, id="segment not found"),
        pytest.param(404, "", "No HTTP resource was found", Answer.STOP, id="404 on the address"),
    ],
)
def test_judge(status: int, code: str, text: str, answer: Answer) -> None:
    assert judge(status, code, text) is answer


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        pytest.param(f"Contact With Ids = {ROW}, {OTHER} Do Not Exist", (ROW, OTHER), id="several"),
        pytest.param(f"Entity 'Contact' With Id = {ROW.upper()} Does Not Exist", (ROW,), id="one, in any case"),
        pytest.param(f"Principal user (Id={OTHER}) is missing a privilege", (), id="an id that is no row"),
        pytest.param("", (), id="nothing"),
    ],
)
def test_named_rows(text: str, rows: tuple[str, ...]) -> None:
    assert named_rows(text) == rows
