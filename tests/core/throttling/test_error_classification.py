"""What an answer of Dataverse asks of us: the table of docs/reference/dataverse.md 13.3 and 13.4."""

import pytest

from linker.core.throttling.error_classification import Answer, is_of_dataverse, judge, named_ids, named_privilege

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
        pytest.param(502, "", "<html>", Answer.UNSURE, id="502"),
        pytest.param(503, "", "<html>", Answer.UNSURE, id="503"),
        pytest.param(504, "", "", Answer.UNSURE, id="504"),
        pytest.param(408, "", "", Answer.UNSURE, id="408"),
        pytest.param(500, "", "", Answer.UNSURE, id="500 that says nothing"),
        pytest.param(500, "0x80001234", "", Answer.UNSURE, id="500 with an unknown code"),
        pytest.param(500, "0x80040216", "An unexpected error occurred.", Answer.UNSURE, id="unexpected error"),
        pytest.param(400, "0x80040216", "", Answer.UNSURE, id="unexpected error as 400"),
        pytest.param(500, "0x80044184", "", Answer.UNSURE, id="SQL connection"),
        *(
            pytest.param(status, "0x80044150", f"Sql Number: {number}", Answer.UNSURE, id=f"failover {number} {status}")
            for number in (40613, 40197, 40501, 10928, 10929)
            for status in (400, 500)
        ),
        pytest.param(500, "0x80044150", "some other SQL error", Answer.UNSURE, id="SQL error that says nothing"),
        pytest.param(400, "0x80044150", "Sql Number: 547", Answer.ISOLATE, id="SQL constraint"),
        pytest.param(500, "0x80044150", "Sql Number: 1105", Answer.STOP, id="SQL storage is full"),
        pytest.param(500, "0x80072325", "", Answer.STOP, id="storage quota"),
        pytest.param(400, "0x80044150", "SQL 1205: deadlock victim", Answer.RETRY, id="deadlock"),
        pytest.param(500, "0x80044150", "Sql Number: 1205", Answer.RETRY, id="deadlock as 500"),
        pytest.param(400, "0x80040255", "", Answer.RETRY, id="deadlock swallowed in a plug-in"),
        pytest.param(500, "0x8004A001", "", Answer.RETRY, id="SQL governor"),
        pytest.param(500, "0x80048544", "", Answer.RETRY, id="query engine throttle"),
        pytest.param(500, "0x80048551", "", Answer.UNSURE, id="database connection"),
        pytest.param(500, "0x80048553", "", Answer.UNSURE, id="database connection 53"),
        pytest.param(500, "0x80048559", "", Answer.UNSURE, id="database connection 59"),
        pytest.param(500, "0x80048561", "", Answer.UNSURE, id="circuit breaker"),
        pytest.param(500, "0x80073000", "", Answer.UNSURE, id="SQL network"),
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
        pytest.param(
            404, "", f"Kontakt mit ID = {ROW} ist nicht vorhanden", Answer.ISOLATE, id="no code, other language"
        ),
        pytest.param(400, "0x80040265", "", Answer.ISOLATE, id="plug-in abort"),
        pytest.param(500, "0x80040265", "", Answer.ISOLATE, id="plug-in abort as 500"),
        pytest.param(500, "0x80040224", "", Answer.ISOLATE, id="plug-in that broke off"),
        pytest.param(500, "0x80060890", "", Answer.ISOLATE, id="a name that is taken"),
        pytest.param(403, "0x80048306", "no WriteAccess for record", Answer.ISOLATE, id="row-level access"),
        pytest.param(403, "0x80048306", "Benutzer 1 fehlt prvWriteContact", Answer.STOP, id="privilege, newer code"),
        pytest.param(403, "0x80048306", f"kein Zugriff auf {ROW}", Answer.ISOLATE, id="access to one row, newer code"),
        pytest.param(403, "0x8004f502", "", Answer.STOP, id="column security, create"),
        pytest.param(403, "0x8004f503", "", Answer.STOP, id="column security, sharing"),
        pytest.param(404, "0x80041102", "The entity with a name = 'contact'", Answer.STOP, id="no such table"),
        pytest.param(412, "0x80060882", "", Answer.ISOLATE, id="the row changed"),
        pytest.param(400, "0x80044331", "string too long", Answer.ISOLATE, id="validation"),
        pytest.param(401, "", "", Answer.STOP, id="token refused"),
        pytest.param(403, "0x80040220", "missing prvWriteContact", Answer.STOP, id="privilege"),
        pytest.param(403, "0x80040220", f"{OTHER} fehlt prvWriteContact", Answer.STOP, id="privilege, other language"),
        pytest.param(
            403,
            "0x80040220",
            f"Principal with id {OTHER} does not have WriteAccess right(s) for record with id {ROW}",
            Answer.ISOLATE,
            id="access to one row",
        ),
        pytest.param(403, "0x80095ffe", "", Answer.STOP, id="IP firewall"),
        pytest.param(403, "0x80040225", "", Answer.STOP, id="disabled user"),
        pytest.param(403, "0x80072560", "", Answer.STOP, id="no user"),
        pytest.param(403, "0x8004A113", "", Answer.STOP, id="administration mode"),
        pytest.param(403, "0x8004f507", "", Answer.STOP, id="column security, update"),
        pytest.param(403, "0x8004F504", "", Answer.STOP, id="column security, read"),
        pytest.param(501, "0x80040219", "", Answer.STOP, id="not implemented"),
        pytest.param(302, "", "", Answer.STOP, id="redirect"),
        pytest.param(400, "0x80048d19", "payload", Answer.STOP, id="payload is wrong"),
        pytest.param(400, "0x0", "Could not find a property", Answer.STOP, id="OData layer"),
        pytest.param(400, "", "Eine Eigenschaft ist nicht bekannt.", Answer.STOP, id="OData layer, no code"),
        pytest.param(404, "0x8006088a", "Resource not found for the segment", Answer.STOP, id="segment not found"),
        pytest.param(404, "", "No HTTP resource was found", Answer.STOP, id="404 on the address"),
    ],
)
def test_judge(status: int, code: str, text: str, answer: Answer) -> None:
    assert judge(status, code, text) is answer


@pytest.mark.parametrize(
    ("status", "code", "answer"),
    [
        pytest.param(400, "0x80040265", True, id="code"),
        pytest.param(404, "", True, id="empty code of the OData layer"),
        pytest.param(400, "0x0", True, id="zero code of the OData layer"),
        pytest.param(500, "0x80040216", True, id="code under 500"),
        pytest.param(503, "0x80072327", True, id="throttle under 503"),
        pytest.param(401, None, True, id="token refused, empty body"),
        pytest.param(413, None, True, id="too large, HTML"),
        pytest.param(429, None, True, id="429 of a gateway"),
        pytest.param(400, None, False, id="400 HTML"),
        pytest.param(403, None, False, id="403 HTML"),
        pytest.param(404, None, False, id="404 HTML"),
        pytest.param(403, "Forbidden", False, id="403 of a gateway in JSON"),
        pytest.param(503, "503", False, id="503 of a gateway in JSON"),
        pytest.param(500, "", False, id="500 without a code"),
        pytest.param(500, "0x0", False, id="500 with the zero code"),
        pytest.param(408, "", False, id="408"),
        pytest.param(502, None, False, id="502 HTML"),
        pytest.param(302, None, False, id="redirect to a sign-in page"),
    ],
)
def test_is_of_dataverse(status: int, code: str | None, answer: bool) -> None:
    assert is_of_dataverse(status, code) is answer


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        pytest.param(f"Contact With Ids = {ROW}, {OTHER} Do Not Exist", (ROW, OTHER), id="several"),
        pytest.param(f"Kontakt mit ID = {ROW.upper()} ist nicht vorhanden", (ROW,), id="one, other language and case"),
        pytest.param("", (), id="nothing"),
    ],
)
def test_named_ids(text: str, ids: tuple[str, ...]) -> None:
    assert named_ids(text) == ids


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Principal user (Id=1) is missing prvReadLead privilege", "prvReadLead"),
        ("Dem Benutzer fehlt das Privileg prvReadLead.", "prvReadLead"),
        ("private", ""),
    ],
)
def test_named_privilege(text: str, name: str) -> None:
    assert named_privilege(text) == name
