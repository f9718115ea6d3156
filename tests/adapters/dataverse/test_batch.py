"""The multipart text of $batch, built and read (docs/reference/dataverse.md 3)."""

import pytest

from linker.adapters.dataverse.web_api import BOUNDARY, CONTENT_TYPE, Part, PartAnswer, build_batch, parse_batch
from linker.core.errors import TransientError

ANSWER = (
    "--b\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"value":[1]}\r\n'
    "--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 204 No Content\r\nOData-Version: 4.0\r\n\r\n\r\n"
    '--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 412 Changed\r\n\r\n{"error":{"code":"0x1","message":"m"}}\r\n'
    "--b--\r\n"
)
EXPECTED = [
    PartAnswer(200, {"value": [1]}),
    PartAnswer(204, None),
    PartAnswer(412, {"error": {"code": "0x1", "message": "m"}}),
]


def test_parts_are_built_with_crlf_their_own_headers_and_two_ends() -> None:
    text = build_batch([Part("GET", "/api/x"), Part("PATCH", "/api/y(1)", '{"a":1}', {"If-Match": 'W/"2"'})]).decode()
    assert text.replace("\r\n", "").count("\n") == 0
    assert text.count(f"--{BOUNDARY}\r\n") == 2
    assert text.endswith(f"--{BOUNDARY}--\r\n\r\n")
    assert "GET /api/x HTTP/1.1\r\nAccept: application/json\r\n\r\n" in text
    patch = text.partition("PATCH /api/y(1) HTTP/1.1\r\n")[2]
    assert 'If-Match: W/"2"\r\nContent-Type: application/json; type=entry\r\n\r\n{"a":1}\r\n' in patch
    assert BOUNDARY in CONTENT_TYPE


@pytest.mark.parametrize(
    "content_type",
    ["multipart/mixed; boundary=b", 'multipart/mixed; boundary="b"', "multipart/mixed; boundary=b; charset=utf-8"],
)
def test_answers_come_in_the_order_of_the_parts(content_type: str) -> None:
    assert parse_batch(content_type, ANSWER.encode(), 3) == EXPECTED


def test_an_error_part_that_is_html_has_no_body() -> None:
    text = "--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 503 Busy\r\n\r\n<html>busy</html>\r\n--b--\r\n"
    assert parse_batch("multipart/mixed; boundary=b", text.encode(), 1) == [PartAnswer(503, None)]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        pytest.param("multipart/mixed; boundary=b", ANSWER, id="fewer answers than parts"),
        pytest.param("text/html", "<html>", id="no multipart at all"),
        pytest.param("multipart/mixed; boundary=b", "", id="nothing"),
        pytest.param("multipart/mixed; boundary=b", ANSWER[:150], id="cut off"),
        pytest.param(
            "multipart/mixed; boundary=b", "--b\r\n\r\nrubbish\r\n" * 4 + "--b--\r\n", id="parts that are no answers"
        ),
        pytest.param(
            "multipart/mixed; boundary=b", ANSWER.replace('{"value":[1]}', '{"value":[1') + ANSWER, id="half a JSON"
        ),
    ],
)
def test_a_response_that_cannot_be_read_is_a_passing_fault(content_type: str, body: str) -> None:
    with pytest.raises(TransientError):
        parse_batch(content_type, body.encode(), 4)
