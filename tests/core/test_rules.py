"""Small decisions of the shell that are pure: modes, ledgers, waits."""

import pytest

from linker.adapters.dataverse.http import retry_after_s
from linker.core.linking.mapping_scan import OTHER_HASHES, OTHER_SCHEMA, VERSION_1, TableState, mode_of
from linker.core.model import Counts, Mode, Status
from linker.core.runs.activity_values import TableEnd, Totals
from linker.core.runs.lifecycle import table_verdict

LINKED = TableState(linked=True)


@pytest.mark.parametrize(
    ("asked", "stored", "options", "mode", "reason"),
    [
        pytest.param(Mode.INCREMENTAL, TableState(), {}, Mode.FULL, "first run on this table", id="first run"),
        pytest.param(
            Mode.INCREMENTAL, TableState(epoch="e"), {}, Mode.FULL, "the first run was interrupted and continues",
            id="first run continues",
        ),
        pytest.param(
            Mode.INCREMENTAL, TableState(epoch="e", linked=True), {}, Mode.FULL, "a full run was interrupted and continues",
            id="full run continues",
        ),
        pytest.param(
            Mode.INCREMENTAL, LINKED, {}, Mode.INCREMENTAL, "only rows that changed", id="incremental"
        ),
        pytest.param(Mode.FULL, LINKED, {}, Mode.FULL, "asked for", id="full asked for"),
        pytest.param(Mode.VERIFY, LINKED, {}, Mode.VERIFY, "asked for", id="verify asked for"),
        pytest.param(
            Mode.INCREMENTAL, LINKED, {"column_is_new": True}, Mode.FULL,
            "the lookup column was missing and is new", id="column was removed",
        ),
        pytest.param(
            Mode.INCREMENTAL, LINKED, {"because": "no successful merge"}, Mode.FULL,
            "no successful merge", id="a reason of the run",
        ),
        *(
            pytest.param(
                Mode.INCREMENTAL, TableState(epoch="e"), {"because": reason}, Mode.FULL, reason,
                id=f"a first run begins again: {reason}",
            )
            for reason in (OTHER_SCHEMA, OTHER_HASHES, VERSION_1)
        ),
        pytest.param(
            Mode.INCREMENTAL, TableState(epoch="e"), {"because": "no successful merge"}, Mode.FULL,
            "the first run was interrupted and continues", id="no reason to begin a first run again",
        ),
    ],
)  # fmt: skip
def test_mode_of(asked: Mode, stored: TableState, options: dict[str, object], mode: Mode, reason: str) -> None:
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
        pytest.param(ended(canceled=True), Status.CANCELED, "next run continues", id="canceled"),
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
        pytest.param("9" * 400, 86_400.0, id="a number without end"),
        pytest.param("Mon, 1 Jan 99999999999999999999 00:00:00 GMT", None, id="a year that no number holds"),
        pytest.param("Fri, 01 Jan 2027 99999999999:00:00 GMT", None, id="an hour that no number holds"),
        pytest.param("\u00b2", None, id="a digit that is no number"),
    ],
)
def test_retry_after_s(value: str | None, expected: float | None) -> None:
    assert retry_after_s(value, NOW) == expected
