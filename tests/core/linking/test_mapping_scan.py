"""How a table is scanned: everything or changed rows, in which streams, with how many shards, described in which words."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linker.core.linking.mapping_scan import (
    MAX_STREAMS,
    OVERLAP_S,
    STREAM_ROWS,
    KeySpan,
    ScanChoice,
    ScanRules,
    TableState,
    bucket_bits,
    choose_scan,
    cut_spans,
    describe_scan,
    streams_for,
)
from linker.core.linking.shards import SHARD_ROWS, bits_for
from linker.core.model import Mode, Source

NOW = 1_795_000_000.0
CRM, ERP = Source("crm", "contact"), Source("erp", "contact")
RULES = ScanRules(small_rows=1_000, full_s=86_400.0)
KNOWN = TableState(linked=True, watermark=NOW - 7_200, scanned_at=NOW - 3_600, rows=5_000, sources=(CRM, ERP))


def chosen(state: TableState = KNOWN, **values: Any) -> ScanChoice:
    given_ = {"mode": Mode.INCREMENTAL, "newest": NOW, "sources": (ERP, CRM), "rules": RULES, "now": NOW} | values
    return choose_scan(state, given_.pop("mode"), **given_)


@pytest.mark.parametrize(
    ("state", "values", "reason"),
    [
        pytest.param(KNOWN, {"mode": Mode.FULL}, "a full run reads every row", id="full run"),
        pytest.param(KNOWN, {"mode": Mode.VERIFY}, "a verify run reads every row", id="verify run"),
        pytest.param(KNOWN, {"because": "an operator"}, "an operator", id="a reason of the run"),
        pytest.param(replace(KNOWN, linked=False), {}, "not read whole before", id="never linked"),
        pytest.param(replace(KNOWN, scanned_at=0.0), {}, "not read whole before", id="never scanned"),
        pytest.param(replace(KNOWN, due="removed rows waited"), {}, "removed rows waited", id="due"),
        pytest.param(KNOWN, {"newest": 0.0}, "does not say when its rows changed", id="no newest change"),
        pytest.param(replace(KNOWN, watermark=0.0), {}, "does not say when its rows changed", id="no watermark"),
        pytest.param(KNOWN, {"sources": (CRM,)}, "other data sources", id="a source left"),
        pytest.param(KNOWN, {"sources": (CRM, ERP, Source("x", "contact"))}, "other data sources", id="a source came"),
        pytest.param(replace(KNOWN, rows=1_000), {}, "no more than 1,000 mapping rows", id="small"),
        pytest.param(replace(KNOWN, scanned_at=NOW - 86_400), {}, "too long ago", id="due by time"),
        pytest.param(replace(KNOWN, scanned_at=NOW + 1), {}, "lies in the future", id="the clock went back"),
    ],
)
def test_everything_is_read_whenever_a_delta_scan_could_miss_something(
    state: TableState, values: dict[str, Any], reason: str
) -> None:
    choice = chosen(state, **values)
    assert choice.full
    assert reason in choice.reason


@pytest.mark.parametrize("state", [KNOWN, replace(KNOWN, rows=1_001), replace(KNOWN, scanned_at=NOW - 86_399)])
def test_else_only_rows_that_changed_since_the_watermark_with_an_overlap_are_read(state: TableState) -> None:
    assert chosen(state) == ScanChoice(state.watermark - OVERLAP_S, "only rows that changed")


def test_a_delta_scan_never_begins_before_time_itself() -> None:
    assert chosen(replace(KNOWN, watermark=5.0)).since == 0.0


# ---- streams ----


@given(st.integers(1, MAX_STREAMS), st.text(st.characters(codec="ascii"), max_size=6))
def test_spans_cover_every_text_exactly_once(count: int, text: str) -> None:
    spans = cut_spans(count)
    assert len(spans) == count
    assert (
        sum((one.lower is None or text >= one.lower) and (one.upper is None or text < one.upper) for one in spans) == 1
    )


def test_one_stream_has_no_bounds() -> None:
    assert cut_spans(1) == (KeySpan(),)


@pytest.mark.parametrize(
    ("rows", "streams"),
    [(0, 1), (STREAM_ROWS, 1), (STREAM_ROWS + 1, 2), (3 * STREAM_ROWS, 4), (10**9, MAX_STREAMS)],
)
def test_large_sources_are_read_in_several_streams(rows: int, streams: int) -> None:
    assert streams_for(rows) == streams


# ---- shards ----


@pytest.mark.parametrize(
    ("state", "rows", "expected"),
    [
        pytest.param(TableState(), SHARD_ROWS + 1, TableState(bits=1), id="a new table has nothing to split"),
        pytest.param(
            TableState(linked=True), SHARD_ROWS + 1, TableState(bits=1, earlier_bits=(0,), linked=True), id="it doubled"
        ),
        pytest.param(
            TableState(epoch="e"), SHARD_ROWS + 1, TableState(bits=1, earlier_bits=(0,), epoch="e"),
            id="an interrupted full run left blocks",
        ),
        pytest.param(
            TableState(bits=1, earlier_bits=(0,), linked=True), 4 * SHARD_ROWS,
            TableState(bits=2, earlier_bits=(0, 1), linked=True), id="it grew again before all was split",
        ),
        pytest.param(TableState(bits=3, linked=True), 1, TableState(bits=3, linked=True), id="it never shrinks"),
    ],
)  # fmt: skip
def test_shards_follow_the_number_of_rows(state: TableState, rows: int, expected: TableState) -> None:
    assert state.grown_to(rows) == expected


# ---- words ----


@pytest.mark.parametrize(
    ("choice", "read", "text"),
    [
        (ScanChoice(None, "first run"), 4_100_000, "Read all 4,100,000 mapping rows: first run."),
        (
            ScanChoice(1.0, "only rows that changed"),
            1_312,
            "Read 1,312 changed mapping rows of about 5,000. The next full scan is due in 23 h.",
        ),
    ],
)
def test_a_scan_is_described_with_its_reason(choice: ScanChoice, read: int, text: str) -> None:
    assert describe_scan(choice, read, KNOWN, RULES, NOW) == text


@pytest.mark.parametrize(
    ("state", "read", "streams", "done", "rows"),
    [
        pytest.param(TableState(), 500, 1, True, 500, id="a small table gets one bucket"),
        pytest.param(TableState(), 60_000, 1, True, 60_000, id="a new table that is read whole gets its shards"),
        pytest.param(TableState(), 250_000, 1, False, 1_000_000, id="one that is not has room for what may follow"),
        pytest.param(TableState(rows=60_000, bits=4), 30_000, 1, False, 60_000, id="a known table keeps its shards"),
        pytest.param(TableState(rows=60_000, bits=4), 500, 1, True, 60_000, id="whatever few rows changed"),
        pytest.param(TableState(rows=9_000, bits=1), 250_000, 1, False, 250_000, id="one that grew gets more"),
        pytest.param(TableState(rows=2_000_000, bits=9), 600_000, 8, False, 4_800_000, id="streams are alike"),
    ],
)
def test_rows_are_sorted_into_the_shards_that_they_will_have(
    state: TableState, read: int, streams: int, done: bool, rows: int
) -> None:
    assert bucket_bits(state, read, streams=streams, done=done) == bits_for(rows)
