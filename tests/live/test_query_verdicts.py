"""What probes of queries conclude: one line per answer that an environment may give."""

from __future__ import annotations

import pytest

from tests.live.answers import POINT, REFUSED, A, B, one, page
from tests.live.probes import comparison, cosmos, paging
from tests.live.probes.scene import CUSTOMER, IDENTIFIER
from tests.live.probes.wire import Answer

FORBIDDEN = Answer(403, "0x80040220", "The caller lacks a privilege.")

FOUND, NOTHING = page({"id": A}), page()


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ([FOUND, FOUND, FOUND], "folded"),
        ([FOUND, NOTHING, FOUND], "exact"),
        ([FOUND, FOUND, NOTHING], "exact"),
        ([NOTHING, NOTHING, NOTHING], "not found as stored"),
        ([FOUND, page({"id": B}), FOUND], "exact"),
        ([FOUND, REFUSED, FOUND], "refused: 400 0x80048d0b"),
    ],
)
def test_case(asked: list[Answer], said: str) -> None:
    assert comparison.compare_spellings(asked, "id", A) == said


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({1: "works", 50: "works", 500: "works"}, "works: with 500 values"),
        ({1: "works", 50: "works", 500: "refused: 414"}, "works with 50 values, with 500 refused: 414"),
        ({1: "refused: 400 0x0", 50: "refused: 400 0x0", 500: "refused: 400 0x0"}, "refused: 400 0x0"),
    ],
)
def test_in(found: dict[int, str], said: str) -> None:
    assert comparison.summarize_sizes(found) == said


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        ([page({CUSTOMER: "a"}), page({CUSTOMER: "b"})], "works"),
        ([page({CUSTOMER: "a"})], "incomplete: 1 of 2 values"),
        ([page({CUSTOMER: "a"}, {CUSTOMER: "z"})], "other rows came"),
        ([page({CUSTOMER: "a"}), REFUSED], "refused: 400 0x80048d0b"),
    ],
)
def test_found(pages: list[Answer], said: str) -> None:
    assert comparison.describe_found(pages, CUSTOMER, ["a", "b"]) == said


KNOWN = ["s|t|a", "s|t|b", "s|t|c"]


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["s|t|a", "s|t|b"], "works"),
        (["s|t|a", "s|t|ab", "s|t|b"], "works"),
        (["s|t|a"], "rows between the bounds are missing"),
        (KNOWN, "rows outside of the bounds came"),
    ],
)
def test_range(texts: list[str], said: str) -> None:
    came = [page(*({IDENTIFIER: text} for text in texts))]
    assert comparison.describe_range(came, KNOWN, "s|t|a", "s|t|c") == said
    assert comparison.describe_range([REFUSED], KNOWN, "s|t|a", "s|t|c") == "refused: 400 0x80048d0b"


KEYS = [f"{first}0000000-0000-4000-8000-00000000000{last}" for first, last in zip("12345", "54321", strict=True)]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (KEYS, "as texts"),
        (KEYS[::-1], "as SQL Server orders GUIDs"),
        ([KEYS[1], *KEYS[2:], KEYS[0]], "in another order"),
        (KEYS[:2], "too few rows"),
    ],
)
def test_order_of_ids(keys: list[str], said: str) -> None:
    answer = page(*({"msdynci_customerprofileid": key} for key in keys))
    assert comparison.describe_key_order(answer) == said


@pytest.mark.parametrize(
    ("texts", "said"),
    [(["B", "a"], "by code points"), (["a", "B"], "without regard to case"), (["b", "A", "B"], "in another order")],
)
def test_order_of_texts(texts: list[str], said: str) -> None:
    assert comparison.describe_text_order(page(*({IDENTIFIER: text} for text in texts))) == said


@pytest.mark.parametrize(
    ("rows_of_page", "more", "said"),
    [(500, True, "500"), (5_000, True, "5000"), (1_100, False, "more than 500"), (400, False, "")],
)
def test_page(rows_of_page: int, more: bool, said: str) -> None:
    marks = {"nextLink": "x"} if more else {}
    result = paging.describe_page(paging.LARGE_PAGE, page(*({"id": n} for n in range(rows_of_page)), **marks), 5_000)
    assert (result.answer, result.settled) == (said, bool(said))


@pytest.mark.parametrize(
    ("link", "said"),
    [
        (
            "https://c/x?$skiptoken=%3Ccookie%20pagenumber=%222%22%20pagingcookie=%22x%22",
            "with the paging cookie of FetchXML",
        ),
        ("https://c/x?$skiptoken=%257B%2522token%2522:%2522+RID%2522%257D", "with a continuation of Cosmos DB"),
        ("https://c/x?$skiptoken=abc", "of another form"),
        ("https://c/x?$skip=5", "no $skiptoken, but $skip"),
    ],
)
def test_next_link(link: str, said: str) -> None:
    assert said in paging.describe_link(link)


@pytest.mark.parametrize(
    ("number", "read", "is_all", "said"),
    [
        (6_000, 6_000, True, "exact"),
        (5_000, 6_000, True, "5000 although there are more"),
        (5_000, 6_000, False, "5000 although there are more"),
        (9_000, 6_000, False, "above the rows read"),
        (10, 6_000, True, "too low"),
        (None, 6_000, True, "no number"),
        (100, 100, True, ""),
    ],
)
def test_count(number: int | None, read: int, is_all: bool, said: str) -> None:
    assert paging.describe_count(POINT, one(), number, read, is_all=is_all).answer == said
    assert paging.describe_count(POINT, REFUSED, number, read, is_all=is_all).setting == "switch=refuse"


@pytest.mark.parametrize(
    ("pages", "read", "said"),
    [
        ([500, 100], 600, "all of them"),
        ([500], 600, "cut at 500"),
        ([400], 400, ""),
    ],
)
def test_groups(pages: list[int], read: int, said: str) -> None:
    answers = [page(*({"rows": 1} for _ in range(size))) for size in pages]
    assert paging.describe_groups(answers, read).answer == said


STAMP = "2026-11-30T11:00:00Z"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (page({"modifiedon": STAMP}), "works"),
        (page(), "no row came"),
        (page({"modifiedon": "2026-11-30T10:59:59Z"}), "older rows came"),
        (REFUSED, "refused: 400 0x80048d0b"),
        (None, ""),
    ],
)
def test_changes_since(answer: Answer | None, said: str) -> None:
    assert paging.describe_since(POINT, answer, "modifiedon", STAMP).answer == said


TRACKED = {"preference-applied": "odata.track-changes"}


@pytest.mark.parametrize(
    ("pages", "said"),
    [
        ([page(nextLink="x"), page(deltaLink="x")], "a delta link"),
        (
            [Answer(200, body={"@odata.nextLink": "x"}, headers=TRACKED)],
            "accepted, the end of the table was not reached",
        ),
        ([page(nextLink="x")], "ignored"),
        ([page()], "ignored"),
        ([page(nextLink="x"), REFUSED], "refused: 400 0x80048d0b"),
    ],
)
def test_tracking(pages: list[Answer], said: str) -> None:
    assert paging.describe_tracking(pages) == said


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (one(Result="[]", HasMore=False), "works, Result is text"),
        (one(value=1), "an answer of another shape"),
        (REFUSED, "refused: 400 0x80048d0b"),
    ],
)
def test_cosmos(answer: Answer, said: str) -> None:
    assert cosmos.describe_cosmos(answer) == said


@pytest.mark.parametrize(
    ("answer", "roles", "setting", "why"),
    [
        pytest.param(one(Result="[]"), page({"roletemplateid": None}), "cosmos_sql=readers", "", id="a reader may"),
        pytest.param(FORBIDDEN, page({"roletemplateid": A}), "cosmos_sql=administrators", "", id="a reader may not"),
        pytest.param(
            one(Result="[]"),
            page({"roletemplateid": None}, {"roletemplateid": cosmos.SYSTEM_ADMINISTRATOR.upper()}),
            "",
            "This account is a System Administrator: ask as the app's own account.",
            id="an administrator",
        ),
        pytest.param(
            one(Result="[]"),
            page(),
            "",
            "This account holds roles only through a team: ask as a user who holds a role.",
            id="roles of a team",
        ),
        pytest.param(
            one(Result="[]"),
            FORBIDDEN,
            "",
            "The roles of this account cannot be read: 403 0x80040220.",
            id="roles that are hidden",
        ),
        pytest.param(
            REFUSED,
            page({"roletemplateid": None}),
            "",
            "The function was refused for another reason: 400 0x80048d0b.",
            id="another refusal",
        ),
    ],
)
def test_callers_of_cosmos(answer: Answer, roles: Answer, setting: str, why: str) -> None:
    result = cosmos.describe_callers(answer, roles)
    assert (result.setting, result.settled) == (setting, not why)
    assert why in ("", result.evidence)
