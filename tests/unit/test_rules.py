"""Small decisions of the shell that are pure: modes, mapping rows, ledgers, waits."""

import pytest
from linker.activities.mapping import MappingRows, resolve
from linker.pages import Plan

from linker.activities.life import table_verdict
from linker.activities.prepare import mode_of
from linker.activities.values import TableEnd, Totals
from linker.dataverse.http import retry_after_s
from linker.model import Counts, Mode, Status
from linker.odata import MappingColumns
from linker.state import TablePlan

K1, K2 = "00000001-0000-0000-0000-00000000000a", "00000002-0000-0000-0000-000000000000"
B1, B2 = bytes.fromhex(K1.replace("-", "")), bytes.fromhex(K2.replace("-", ""))
COLUMNS = MappingColumns("msdynci_tablename")
PLAN = Plan("v1")


def rows(*pairs: tuple[str | None, str | None]) -> list[dict[str, str | None]]:
    return [{"msdynci_alternatevalue": key, "msdynci_customerid": customer} for key, customer in pairs]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param([], MappingRows({}, 0), id="nothing"),
        pytest.param([(K1, "a"), (K2, "b")], MappingRows({B1: "a", B2: "b"}, 2), id="two rows"),
        pytest.param([(K1, " A ")], MappingRows({B1: "a"}, 1), id="customers are normalised"),
        pytest.param([(K1, "a"), (K1, "a")], MappingRows({B1: "a"}, 2, 1), id="the same twice"),
        pytest.param(
            [(K1, "a"), (f"{{{K1.upper()}}}", "A"), (K2, "b")],
            MappingRows({B1: "a", B2: "b"}, 3, 1, texts={B1: {K1, f"{{{K1.upper()}}}"}}),
            id="in two spellings",
        ),
        pytest.param([(K1, "b"), (K1, "a")], MappingRows({B1: "a"}, 2, 1, (), (B1,)), id="a conflict: the lowest wins"),
        pytest.param([(K1, "a"), (K1, "b")], MappingRows({B1: "a"}, 2, 1, (), (B1,)), id="in any order"),
        pytest.param(
            [(K1, "c"), (K1, "a"), (K1, "b")], MappingRows({B1: "a"}, 3, 2, (), (B1,)), id="three claims, one conflict"
        ),
        pytest.param([("x", "a"), (K1, "a")], MappingRows({B1: "a"}, 2, 0, ("x",)), id="no guid"),
        pytest.param([(K1, None), (None, "a"), (K2, "")], MappingRows({}, 3, 0, (K1, "", K2)), id="something missing"),
    ],
)
def test_resolve(found: list[tuple[str | None, str | None]], expected: MappingRows) -> None:
    assert resolve(rows(*found), COLUMNS) == expected


@pytest.mark.parametrize(
    ("asked", "stored", "options", "mode", "reason"),
    [
        pytest.param(Mode.INCREMENTAL, TablePlan(PLAN), {}, Mode.FULL, "first run on this table", id="first run"),
        pytest.param(
            Mode.INCREMENTAL, TablePlan(PLAN, "e"), {}, Mode.FULL, "the first run was interrupted and goes on", id="1st goes on"
        ),
        pytest.param(
            Mode.INCREMENTAL, TablePlan(PLAN, "e", linked=True), {}, Mode.FULL, "a full run was interrupted and goes on",
            id="full goes on",
        ),
        pytest.param(
            Mode.INCREMENTAL, TablePlan(PLAN, linked=True), {}, Mode.INCREMENTAL, "only rows that changed", id="incremental"
        ),
        pytest.param(Mode.FULL, TablePlan(PLAN, linked=True), {}, Mode.FULL, "asked for", id="full asked for"),
        pytest.param(Mode.VERIFY, TablePlan(PLAN, linked=True), {}, Mode.VERIFY, "asked for", id="verify asked for"),
        pytest.param(
            Mode.INCREMENTAL, TablePlan(PLAN, linked=True), {"column_is_new": True}, Mode.FULL,
            "the lookup column was missing and is new", id="column was removed",
        ),
        pytest.param(
            Mode.INCREMENTAL, TablePlan(PLAN, linked=True), {"because": "no successful merge"}, Mode.FULL,
            "no successful merge", id="a reason of the run",
        ),
    ],
)  # fmt: skip
def test_mode_of(asked: Mode, stored: TablePlan, options: dict[str, object], mode: Mode, reason: str) -> None:
    assert mode_of(asked, stored, **options) == (mode, reason)  # type: ignore[arg-type]


GOOD = Counts(rows_read=10, linked=6, unchanged=4)


def ended(counts: Counts = GOOD, **values: object) -> tuple[Status, str]:
    totals = {name: values.pop(name) for name in ("conflicts", "lost", "drift", "departed") if name in values}
    end = TableEnd("run", "contact", Totals(counts, **totals), **values)  # type: ignore[arg-type]
    return table_verdict(end, counts)


@pytest.mark.parametrize(
    ("answer", "status", "text"),
    [
        pytest.param(ended(), Status.SUCCESSFUL, "", id="all well"),
        pytest.param(ended(Counts(rows_read=10, linked=9)), Status.FAILED, "10 rows were read, 9", id="a row is missing"),
        pytest.param(ended(Counts(rows_read=9, linked=10)), Status.FAILED, "9 rows were read, 10", id="a row too many"),
        pytest.param(ended(lost=2), Status.FAILED, "did not store", id="lost writes"),
        pytest.param(ended(failed="no column"), Status.FAILED, "no column", id="failed"),
        pytest.param(ended(canceled=True), Status.CANCELED, "next run goes on", id="canceled"),
        pytest.param(ended(canceled=True, failed="no"), Status.FAILED, "no", id="failed before it was canceled"),
        pytest.param(ended(Counts(10, 9, rejected=1)), Status.WARNINGS, "Rejected rows: 1;", id="rejected"),
        pytest.param(ended(Counts(10, 9, deferred=1)), Status.WARNINGS, "deferred to a later run: 1;", id="deferred"),
        pytest.param(ended(conflicts=3), Status.WARNINGS, "claimed for several customers", id="conflicts"),
        pytest.param(
            ended(Counts(10, 8, deferred=2), held_back="too many"), Status.WARNINGS, "left alone: too many.",
            id="held back",
        ),
        pytest.param(
            ended(Counts(8, 8), held_back="too many", guarded=True, departed=2), Status.WARNINGS,
            "run with '--allow-unlinking contact=2' (", id="held back by the guard",
        ),
        pytest.param(
            ended(Counts(), held_back="none left", guarded=True, departed=2), Status.WARNINGS,
            "'--allow-unlinking contact=2 --empty-mapping'", id="held back for an empty mapping",
        ),
    ],
)  # fmt: skip
def test_table_verdict(answer: tuple[Status, str], status: Status, text: str) -> None:
    assert answer[0] is status
    assert text in answer[1]
    assert bool(answer[1]) == bool(text)


NOW = 1_795_000_000.0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(None, None, id="absent"),
        pytest.param("37", 37.0, id="seconds"),
        pytest.param(" 5 ", 5.0, id="with spaces"),
        pytest.param("0", 0.0, id="zero"),
        pytest.param("Wed, 18 Nov 2026 11:07:20 GMT", 40.0, id="a date"),
        pytest.param("Wed, 18 Nov 2026 11:06:00 GMT", 0.0, id="a date that is over"),
        pytest.param("soon", None, id="odd"),
        pytest.param("-5", None, id="negative"),
        pytest.param("\u00b2", None, id="a digit that is no number"),
    ],
)
def test_retry_after_s(value: str | None, expected: float | None) -> None:
    assert retry_after_s(value, NOW) == expected
