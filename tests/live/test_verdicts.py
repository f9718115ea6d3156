"""What each probe concludes from what came back: one row per answer that a real environment may give."""

from __future__ import annotations

from typing import Any

import pytest

from tests.live.probes import comparison, joins, metadata, paging, rows, signals, watching
from tests.live.probes.points import Point
from tests.live.probes.scene import CUSTOMER, IDENTIFIER, LABEL, LOOKUP, OWN_LOOKUP
from tests.live.probes.watching import Moment
from tests.live.probes.wire import Answer
from tests.live.probes.writing import Link, describe_link

A, B = "aaaaaaaa-0000-4000-8000-000000000001", "0000000b-0000-4000-8000-0000000000ff"
POINT = Point("name", "1", "question", "switch", {"exact": "exact", "refused": "refuse"})
REFUSED = Answer(400, "0x80048d0b", "Link entities are not supported")


def page(*rows: dict[str, Any], **marks: Any) -> Answer:
    """Return a page of rows; `marks` are properties of the page, such as nextLink."""
    return Answer(200, body={"value": list(rows), **{f"@odata.{name}": value for name, value in marks.items()}})


def one(**row: Any) -> Answer:
    """Return an answer that holds one row."""
    return Answer(200, body=row)


def test_an_answer_names_its_switch_by_what_stands_before_a_colon() -> None:
    assert POINT.settle("refused: 400 0x80048d0b").setting == "switch=refuse"
    assert POINT.settle("exact").setting == "switch=exact"
    assert POINT.settle("too low").setting == ""
    assert POINT.settle("too low").is_unknown_to_the_sandbox
    assert not POINT.leave_open("no row").is_unknown_to_the_sandbox


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (one(DataProviderId="1D9BDE74-9EBD-4DA9-8FF5-AA74945B9F74"), "the one of elastic tables"),
        (one(DataProviderId=None), "none"),
        (one(DataProviderId=A), "another one"),
        (REFUSED, ""),
    ],
)
def test_provider(answer: Answer, said: str) -> None:
    assert metadata.name_provider(answer).answer == said


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ([], "the lookup itself is missing"),
        ([{"LogicalName": "x"}], "missing"),
        (
            [{"LogicalName": "x"}, {"LogicalName": "xpid", "IsValidForUpdate": True}],
            "pid, by its name only, can be updated",
        ),
        (
            [{"LogicalName": "x"}, {"LogicalName": "xpid", "AttributeOf": "x", "AttributeType": "String"}],
            "pid, attribute of the lookup, cannot be updated",
        ),
        ([{"LogicalName": "x"}, {"LogicalName": "xname", "AttributeOf": "x", "AttributeType": "String"}], "missing"),
    ],
)
def test_partition_column(attributes: list[dict[str, Any]], said: str) -> None:
    assert metadata.describe_companion(attributes, "x") == said


@pytest.mark.parametrize(
    ("cascade", "said"),
    [
        ({"Assign": "NoCascade", "Delete": "NoCascade"}, "NoCascade throughout"),
        ({"Assign": "NoCascade", "Delete": "RemoveLink"}, "Delete: RemoveLink"),
        (None, "not shown"),
    ],
)
def test_cascade(cascade: object, said: str) -> None:
    assert metadata.describe_cascade(cascade) == said


PROFILE = {"msdynci_customerprofileid": A, CUSTOMER: A.replace("-", "")}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (PROFILE, "no such column"),
        (PROFILE | {"partitionid": None}, "null"),
        (PROFILE | {"partitionid": A}, "own id in lower case"),
        (PROFILE | {"partitionid": A.upper()}, "own id in upper case"),
        (PROFILE | {"partitionid": "west"}, "another value"),
    ],
)
def test_partition(row: dict[str, Any], said: str) -> None:
    assert rows.describe_partitions([row]) == said


def test_profile_ids() -> None:
    other = PROFILE | {"msdynci_customerprofileid": B}
    assert rows.compare_ids([PROFILE]) == "yes"
    assert rows.compare_ids([other]) == "no"
    assert rows.compare_ids([PROFILE, other]) == "for some profiles"


MAPPED = {OWN_LOOKUP: A, CUSTOMER: A.replace("-", "").upper()}


@pytest.mark.parametrize(
    ("mappings", "said"),
    [
        ([{CUSTOMER: "x"}], "no such column"),
        ([MAPPED | {OWN_LOOKUP: None}], "empty"),
        ([MAPPED], "filled"),
        ([MAPPED, MAPPED | {OWN_LOOKUP: None}], "filled for some rows"),
        ([MAPPED, MAPPED | {CUSTOMER: "b" * 32}], "wrong for some rows"),
        ([MAPPED | {OWN_LOOKUP: B}], "wrong for some rows"),
    ],
)
def test_profile_of_mapping_rows(mappings: list[dict[str, Any]], said: str) -> None:
    assert rows.describe_own_profiles(mappings, [PROFILE]) == said


@pytest.mark.parametrize(
    ("identifier", "said"), [("s|contact|k", "yes"), ("S|contact|K", "yes, in another case"), ("s/contact/k", "no")]
)
def test_identifiers(identifier: str, said: str) -> None:
    row = {"msdynci_datasourcename": "s", "t": "contact", "msdynci_alternatevalue": "k", IDENTIFIER: identifier}
    assert rows.describe_identifiers([row], "t") == said


@pytest.mark.parametrize(
    ("etag", "said"),
    [
        ('W/"e1015c6f-0000-0200-0000-67af80e80000"', "a tag of Cosmos DB"),
        ('W/"1234"', "a number"),
        (None, "missing"),
        ('"x"', "another form"),
    ],
)
def test_etags(etag: str | None, said: str) -> None:
    assert rows.describe_etags([etag]) == said


@pytest.mark.parametrize(
    ("values", "said"),
    [([638751518483842799], "ticks of .NET time"), ([1234], "small numbers"), ([None, 5], "missing, small numbers")],
)
def test_versions(values: list[object], said: str) -> None:
    assert rows.describe_versions(values) == said


@pytest.mark.parametrize(
    ("answer", "customer", "said"),
    [
        (one(**{LOOKUP + LABEL: "c"}), "c", "the CustomerId"),
        (one(**{LOOKUP + LABEL: "Maria"}), "c", "another text"),
        (one(**{LOOKUP: A}), "c", "missing"),
        (one(**{LOOKUP: A}), None, "the profile is missing, the label is missing too"),
        (one(**{LOOKUP + LABEL: "c"}), None, "the profile is missing, the label is there"),
        (REFUSED, "c", "refused: 400 0x80048d0b"),
    ],
)
def test_label(answer: Answer, customer: str | None, said: str) -> None:
    assert rows.describe_label(answer, customer) == said


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (page({LOOKUP: A, "nav": {CUSTOMER: "c"}}), "works"),
        (page({LOOKUP: A, "nav": None}), "null instead of the profile"),
        (page({LOOKUP: None}), "accepted, no linked row among those that came"),
        (REFUSED, "refused: 400 0x80048d0b"),
    ],
)
def test_expand(answer: Answer, said: str) -> None:
    assert joins.describe_expand(answer, "nav", LOOKUP) == said


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (page({"p.msdynci_customerid": "c"}), "works"),
        (page({"p_x002e_msdynci_customerid": "c"}), "works"),
        (page({"contactid": A}), "accepted, nothing of the profile came"),
        (page(), "accepted, nothing of the profile came"),
        (REFUSED, "refused: 400 0x80048d0b"),
    ],
)
def test_join(answer: Answer, said: str) -> None:
    assert joins.describe_join(answer) == said


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
    assert paging.describe_cosmos(answer) == said


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([page({"a": 1})] * 3, "filled"),
        ([page()] * 3, "empty"),
        ([Answer(404)] * 3, "absent"),
        ([page({"a": 1}), page(), Answer(404)], "job filled, task empty, node absent"),
    ],
)
def test_workflow_rows(answers: list[Answer], said: str) -> None:
    assert signals.describe_presence(dict(zip(("job", "task", "node"), answers, strict=True))) == said


def test_words_are_shown_and_other_texts_are_not() -> None:
    tasks = [{"msdyn_taskstatus": "Successful"}, {"msdyn_taskstatus": "maria@contoso.com"}]
    assert signals.describe_words({"task": tasks}) == "task taskstatus: Successful, other"


def test_payloads_show_known_names_alone() -> None:
    payload = '{"Kind": "attachCds", "sources": [{"primaryKey": "contactid", "Maria": {}}]}'
    answer = page({"mscipriv_payload1": payload, "msdyn_name": "x"})
    assert signals.describe_payloads(answer) == "kind, primarykey and 2 other names"
    assert signals.describe_payloads(page({"msdyn_name": "x"})) == "no payload"
    assert signals.describe_payloads(page()) == "empty"
    assert signals.describe_payloads(Answer(404, "0x8006088a")) == "refused: 404 0x8006088a"


@pytest.mark.parametrize(
    ("part", "said"), [(0, "others"), (3, "the vendor's account"), (1, "the vendor's account and others")]
)
def test_second_writer(part: int, said: str) -> None:
    assert signals.describe_share(part, 3) == said


LINK = Link(None, "t", "ts", "tid", "x", "x", has_pid=True)  # type: ignore[arg-type]  # a verdict needs no site


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"_x_value": A, "_x_value" + LABEL: "l", "xpid": A}, "linked with a label, partition the row's id"),
        ({"_x_value": A, "xpid": None}, "linked without a label, partition null"),
        ({"_x_value": A, "xpid": "linkerlive"}, "linked without a label, partition as written"),
        ({"_x_value": B, "xpid": "west"}, "another link without a label, partition another value"),
        ({"_x_value": None, "xpid": None}, "empty, partition null"),
    ],
)
def test_link(row: dict[str, Any], said: str) -> None:
    assert describe_link(one(**row), LINK, A) == said


def moments(*stamps: str) -> list[Moment]:
    """Return looks whose newest change of a mapping row is as given."""
    return [Moment(stamp, "p", "j") for stamp in stamps]


@pytest.mark.parametrize(
    ("looks", "said"),
    [
        (moments("1", "1", "1"), "no change was seen"),
        (moments("1", "2", "3", "3"), "from minute 1 to minute 2, then nothing"),
        (moments("1", "1", "2"), "from minute 2 to minute 2, they still changed at the end"),
    ],
)
def test_settling(looks: list[Moment], said: str) -> None:
    assert watching.describe_settling(looks) == said


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ({A: "1", B: "1"}, "none: 0 of 2"),
        ({A: "2", B: "1"}, "some: 1 of 2"),
        ({A: "2", B: "2"}, "all: 2 of 2"),
        ({A: "2"}, "all: 1 of 1, 1 gone"),
        ({}, "no row could be compared"),
    ],
)
def test_rewritten(after: dict[str, str], said: str) -> None:
    assert watching.describe_rewritten({A: "1", B: "1"}, after) == said


def test_events() -> None:
    steps = {"Create": "1", "Update": "2", "Upsert": ""}
    fired = {"Create": page({"asyncoperationid": A}), "Update": page()}
    assert watching.describe_events(steps, fired) == "Create: raised, Update: not raised, Upsert: no such message"
