"""What leaves for a log, for Application Insights or into a durable history names no person and holds no secret."""

import logging
import re
import time
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.core.errors import MAX_TEXT, DataverseError, clean_text, one_line, without_secrets, without_words

GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2ln-bmF0_dXJl"
# What a reader of a log takes for the end of a line, or does not see at all.
UNSEEN = "\r\n\x00\x1b\x7f\x85\u2028\u2029\u202e\u200b"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("Page 3 of 'contact' failed.", "Page 3 of 'contact' failed.", id="our own words stay"),
        pytest.param(
            "Dataverse answered 400 0x80040265: Ada Lovelace is blocked",
            "Dataverse answered 400 0x80040265",
            id="answer",
        ),
        pytest.param("Dataverse answered 502 : <html>", "Dataverse answered 502", id="answer without a code"),
        pytest.param("Dataverse asked for a pause: Ada", "Dataverse asked for a pause", id="pause"),
        pytest.param("GET contacts?$filter=x got none", "GET contacts?... got none", id="query"),
    ],
)
def test_a_message_loses_what_is_not_ours(text: str, expected: str) -> None:
    assert clean_text(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("ask ada.lovelace@contoso.com", "ask <mail>", id="mail address"),
        pytest.param(f"token {JWT} refused", "token <token> refused", id="token"),
        pytest.param("Authorization: Bearer abc.def", "Authorization: Bearer <token>", id="any bearer"),
        pytest.param(
            "AccountName=a;AccountKey=c2VjcmV0==;x=1", "AccountName=a;AccountKey=<secret>;x=1", id="account key"
        ),
        pytest.param("https://x/y?sv=1&sig=abc%3D&e=2", "https://x/y?sv=1&sig=<secret>&e=2", id="signature"),
        pytest.param("/api/runs?top=1&code=abc==", "/api/runs?top=1&code=<token>", id="function key in an address"),
        pytest.param("{'x-functions-key': 'abc'}", "{'x-functions-key': '<secret>'}", id="function key in a header"),
        pytest.param(
            '"Ocp-Apim-Subscription-Key": "abc"', '"Ocp-Apim-Subscription-Key": "<secret>"', id="subscription"
        ),
        pytest.param("exit code: 3", "exit code: 3", id="no key"),
    ],
)
def test_secrets_and_addresses_go_whatever_is_around_them(text: str, expected: str) -> None:
    assert without_secrets(text) == expected


@pytest.mark.parametrize("key", [GUID, GUID.upper(), GUID.replace("-", "")])
def test_a_key_is_hashed_so_that_its_lines_can_still_be_found(key: str) -> None:
    hashed = clean_text(f"row {key} was left")
    assert re.fullmatch(r"row #[0-9a-f]{12} was left", hashed)
    assert clean_text(f"row {key} was left") == hashed


@given(st.text(st.sampled_from(f"ab{UNSEEN}")))
def test_a_text_stays_on_one_line_and_is_seen_as_it_is(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1
    assert one_line(text).isprintable()
    assert one_line(text).encode().decode("unicode_escape") == text


def refused(words: str) -> None:
    raise DataverseError(400, "0x80040265", words)


def failed(words: str) -> Exception:
    """Return an error in an error, as they are raised, with foreign words in each."""
    try:
        try:
            refused(words)
        except DataverseError:
            {}[words]
    except KeyError as error:
        return error
    raise AssertionError


def test_an_error_keeps_names_frames_and_causes_and_loses_its_words() -> None:
    text = "".join(traceback.format_exception(without_words(failed(f"Ada {GUID} {JWT}\nERROR forged"))))
    assert [
        line for line in text.splitlines() if not line.startswith((" ", "Traceback", "The above", "During")) and line
    ] == [
        "linker.core.errors.DataverseError: Dataverse answered 400 0x80040265",
        "KeyError",
    ]
    assert text.count("in failed") == 2


def test_causes_without_end_are_cut() -> None:
    error = ValueError("x")
    error.__context__ = KeyError("y")
    error.__context__.__context__ = error
    assert "ValueError" in "".join(traceback.format_exception(without_words(error)))


@pytest.mark.usefixtures("app_log")
def test_no_foreign_text_forges_a_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    logging.getLogger("linker.test").warning("%s", "job\n2026-11-24 ERROR linker: all rows lost")
    assert len(caplog.records[0].getMessage().splitlines()) == 1


@pytest.mark.usefixtures("app_log")
def test_the_error_of_a_record_has_lost_its_words_in_every_formatter(caplog: pytest.LogCaptureFixture) -> None:
    error = failed("Ada Lovelace")
    logging.getLogger("linker.test").error("It failed", exc_info=error)
    assert "KeyError" in caplog.text
    assert "in failed" in caplog.text
    assert "Ada" not in caplog.text
    assert "Ada" not in repr(caplog.records[0].exc_info)


ROOT = Path(__file__).parents[2]
SOURCES = [path for path in (ROOT / "linker").rglob("*.py") if not {"cli", "__main__.py"} & {*path.parts}]
SOURCES += [ROOT / "function_app.py"]


def test_whatever_the_app_says_goes_through_a_logger_that_is_cleaned() -> None:
    lines = [line for path in SOURCES for line in path.read_text(encoding="utf-8").splitlines()]
    loggers = {name for line in lines for name in re.findall(r"getLogger\((.*?)\)", line)}
    assert loggers <= {"__name__", "LOGGER"}  # below "linker", or it
    assert [
        line
        for line in lines
        if re.search(r"\b(print|sys\.std(out|err)|traceback\.print_\w+|logging\.(info|error))\(", line)
    ] == []


# ---- long and hostile texts ----

SEEDS = [
    pytest.param("a", id="word characters, which a mail address may have"),
    pytest.param("a@", id="beginnings of mail addresses"),
    pytest.param("a@b", id="mail addresses without an end"),
    pytest.param("a.-+_", id="all that a local part may have"),
    pytest.param("eyJ", id="beginnings of tokens"),
    pytest.param("eyJ-", id="beginnings of tokens at each word"),
    pytest.param("eyJa.", id="tokens without an end"),
    pytest.param("sig" + " " * 9, id="names of secrets without a value"),
    pytest.param("sig ", id="names of secrets"),
    pytest.param("code=", id="function keys"),
    pytest.param("?", id="queries"),
    pytest.param("Dataverse answered 5", id="answers"),
    pytest.param("0f8fad5b-", id="beginnings of ids"),
    pytest.param("\n", id="line ends"),
    pytest.param("\ud800", id="halves of characters"),
]


def seconds(text: str) -> float:
    began = time.process_time()
    clean_text(text)
    return time.process_time() - began


@pytest.mark.parametrize("seed", SEEDS)
def test_no_text_takes_long_however_long_it_is(seed: str) -> None:
    assert seconds(seed * 400_000) < 1.0


@pytest.mark.parametrize("seed", SEEDS)
def test_cleaning_itself_is_linear(seed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice the text takes twice the time, not four times; small times are not compared."""
    monkeypatch.setattr("linker.core.errors.MAX_TEXT", 10_000_000)
    short, long = seed * (20_000 // len(seed)), seed * (160_000 // len(seed))
    assert seconds(long) < 24 * max(seconds(short), 0.005)


@given(st.text(max_size=30_000))
def test_what_is_kept_of_a_text_has_a_bound(text: str) -> None:
    assert len(clean_text(text * 40)) <= 12 * MAX_TEXT


def test_a_secret_at_the_cut_is_left_out_as_a_whole() -> None:
    for missing in range(40):
        text = "x" * (MAX_TEXT - missing) + " ada.lovelace@contoso.com"
        assert "ada" not in without_secrets(text)


@pytest.mark.parametrize(
    "text",
    [
        "client_secret=topsecret",
        '{"access_token":"topsecret"}',
        '{"refresh_token": "topsecret"}',
        "X-IDENTITY-HEADER: topsecret",
        "Cookie: linker_session=topsecret",
        "code=" + "topsecret" * 6,
        "https://contoso.crm4.dynamics.com refused the token (401). topsecret",
    ],
)
def test_other_names_of_secrets_are_known(text: str) -> None:
    assert "topsecret" not in clean_text(text)
