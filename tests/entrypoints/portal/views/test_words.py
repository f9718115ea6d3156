"""Durations, numbers, times, and the look of each status."""

from __future__ import annotations

import pytest

from linker.core.model import Status
from linker.entrypoints.portal.views.words import (
    LOOKS,
    NONE,
    as_data,
    change_as_data,
    duration,
    moment,
    number,
    percentage,
)

# ---- words ----


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, NONE), (0.2, "0 s"), (59.6, "1 min"), (192, "3 min 12 s"), (7_260, "2 h 1 min"), (90_061, "1 d 1 h")],
)
def test_durations(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, NONE), (0, "0"), (1_234_567, "1,234,567"), (9.94, "9.9"), (99.6, "100")]
)
def test_numbers(value: float | None, text: str) -> None:
    assert number(value) == text


def test_changes_and_times() -> None:
    assert (percentage(-8.0), percentage(12.34)) == ("\N{MINUS SIGN}8.0 %", "+12.3 %")
    assert moment("2026-11-23T21:27:54Z") == "2026-11-23 21:27:54 UTC"


@pytest.mark.parametrize(
    ("shown", "html"),
    [
        (as_data(None), NONE),
        (as_data(30_000), '<data value="30000">30,000</data>'),
        (as_data(1_834.0), '<data value="1834">1,834</data>'),
        (as_data(9.94), '<data value="9.9">9.9</data>'),
        (change_as_data(None), NONE),
        (change_as_data(-1_234.0), '<data value="-1234.0" data-show="change">\N{MINUS SIGN}1,234.0 %</data>'),
    ],
)
def test_numbers_of_a_page_carry_their_value_for_the_locale_of_the_reader(shown: str, html: str) -> None:
    assert shown == html


def test_every_status_has_a_look_of_its_own() -> None:
    assert set(LOOKS) == set(Status)
    assert len(set(LOOKS.values())) == len(Status)
