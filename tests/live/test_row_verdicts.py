"""What probes of tables, rows, links, and signals conclude: one line per answer that an environment may give."""

from __future__ import annotations

from typing import Any

import pytest

from tests.live.answers import POINT, REFUSED, A, B, one, page
from tests.live.probes import joins, labels, links, metadata, rows, signals, watching
from tests.live.probes.binding import Link, describe_link
from tests.live.probes.scene import CUSTOMER, IDENTIFIER, LABEL, LOOKUP, OWN_LOOKUP
from tests.live.probes.watching import Moment
from tests.live.probes.wire import Answer


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
    assert labels.describe_label(answer, customer) == said


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


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        ([page({"a": 1})] * 3, "filled"),
        ([page()] * 3, "empty"),
        ([signals.ABSENT] * 3, "absent"),
        ([Answer(403, "0x80040220")] * 3, "refused (403 0x80040220)"),
        ([page({"a": 1}), page(), signals.ABSENT], "job filled, task empty, node absent"),
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


@pytest.mark.parametrize(
    ("waits", "said"),
    [([], "none"), (["5"], "with Retry-After"), (["5", None], "without Retry-After")],
)
def test_throttling_of_the_table(waits: list[str | None], said: str) -> None:
    assert links.describe_throttles(waits) == said


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
    ("ends", "said"),
    [
        (["old", "new", "new", "new"], "yes"),
        (["old", "", "new", "new"], "no"),
        (["old", "", "", "new"], "no"),
        (["old", "", "", ""], ""),
        (["old", "old", "old", "old"], ""),
    ],
)
def test_end_of_the_job(ends: list[str], said: str) -> None:
    looks = [Moment(stamp, "p", "j", end) for stamp, end in zip(("1", "2", "3", "3"), ends, strict=True)]
    assert watching.describe_end(looks).answer == said


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
