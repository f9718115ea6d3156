"""P8 to P10: how texts are compared and ordered, and which operators there are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from linker.core import odata
from linker.core.names import MAPPING_SET, PROFILE_KEY, PROFILE_SET
from tests.live.check import Unanswered
from tests.live.probes.points import Point, Result, probe
from tests.live.probes.scene import CUSTOMER, IDENTIFIER, MAPPING_KEY, OWN_LOOKUP, VALUE, Row, Scene, need_rows
from tests.live.probes.wire import Answer, Asker

_CASES = {"exact": "exact", "folded": "fold"}
KNOWN_ROWS = 2_000  # identifiers that a range is compared with
RANGE_ROWS = 20
IN_SIZES = (1, 50, 500)

EQ_CASE = Point("case-of-eq", "2.3", "Does eq on CustomerId regard case?", "elastic_case", _CASES)
CONTAINS_CASE = Point("case-of-contains", "2.3", "Does contains on CustomerId regard case?", "elastic_case", _CASES)
VALUE_CASE = Point("case-of-keys", "2.3", "Does eq on the key of a mapping row regard case?", "elastic_case", _CASES)


@probe("P8", "Letter case in comparisons", (EQ_CASE, CONTAINS_CASE, VALUE_CASE))
async def ask_case(ask: Asker, scene: Scene) -> Sequence[Result]:
    need_rows(scene)
    profile, customer = row_with_letters(scene.profiles, CUSTOMER)
    mapping, value = row_with_letters(scene.mappings, VALUE)
    piece = customer[4:-4]

    def equals(column: str, text: str) -> str:
        return f"{column} eq {odata.literal(text)}"

    def contains(column: str, text: str) -> str:
        return f"contains({column},{odata.literal(text)})"

    return (
        EQ_CASE.settle(await _case(ask, PROFILE_SET, PROFILE_KEY, profile, CUSTOMER, customer, equals)),
        CONTAINS_CASE.settle(await _case(ask, PROFILE_SET, PROFILE_KEY, profile, CUSTOMER, piece, contains)),
        VALUE_CASE.settle(await _case(ask, MAPPING_SET, MAPPING_KEY, mapping, VALUE, value, equals)),
    )


async def _case(  # one row, one column, one text
    ask: Asker, entity_set: str, key: str, row: Row, column: str, text: str, expression: Callable[[str, str], str]
) -> str:
    asked = [
        await ask.get(entity_set + odata.query(select=f"{key},{column}", filter=expression(column, spelled), top=50))
        for spelled in (text, text.upper(), text.lower())
    ]
    return compare_spellings(asked, key, str(row[key]))


def compare_spellings(asked: Sequence[Answer], key: str, row: str) -> str:
    """Return 'folded' when every spelling found the row, 'exact' when only the stored one did.

    `asked` are the answers for the text as stored, in upper case, and in lower case; one of the last two is the stored one.
    """
    refused = next((answer for answer in asked if not answer.is_ok), None)
    if refused:
        return f"refused: {refused.refusal}"
    found = [any(str(other.get(key)).lower() == row.lower() for other in answer.rows) for answer in asked]
    if not found[0]:
        return "not found as stored"
    return "folded" if all(found) else "exact"


def row_with_letters(rows: Sequence[Row], column: str) -> tuple[Row, str]:
    """Return a row whose text changes with its case, and that text. Raises Unanswered when no row has one."""
    for row in rows:
        text = str(row.get(column) or "")
        middle = text[4:-4]
        if middle.upper() != middle.lower():
            return row, text
    raise Unanswered(f"No row that was read has a letter in {column}.")


_ALLOWED = {"works": "allow", "refused": "400"}

IN = Point("in-operator", "2.3", "Does Microsoft.Dynamics.CRM.In work on a text?", "elastic_in", _ALLOWED)
OR = Point("or-chain", "2.3", "Does a chain of 50 eq terms joined by or find its rows?")
STARTS = Point("startswith", "2.3", "Does startswith find its rows?")
RANGE = Point(
    "text-ranges", "2.3", "Does a range of identifiers hold the rows between its bounds?", "elastic_ranges", _ALLOWED
)
RANGE_CASE = Point("case-of-ranges", "2.3", "Does a range of identifiers regard case?", "elastic_case", _CASES)
BY_OWN_LOOKUP = Point(
    "filter-by-a-lookup",
    "2.3",
    "Can mapping rows be filtered by their lookup to the profile?",
    "elastic_lookup_filter",
    _ALLOWED,
)


@probe("P9", "Operators", (IN, OR, STARTS, RANGE, RANGE_CASE, BY_OWN_LOOKUP))
async def ask_operators(ask: Asker, scene: Scene) -> Sequence[Result]:
    need_rows(scene)
    pages = await ask.pages(MAPPING_SET + odata.query(select=f"{IDENTIFIER},{CUSTOMER}"), KNOWN_ROWS)
    rows = [row for page in pages for row in page.rows if row.get(IDENTIFIER)]
    customers = sorted({str(row[CUSTOMER]) for row in rows if row.get(CUSTOMER)})
    identifiers = sorted(str(row[IDENTIFIER]) for row in rows)
    return (
        await _ask_in(ask, customers),
        await _ask_or(ask, customers[:50]),
        await _ask_start(ask, identifiers[len(identifiers) // 2]),
        *await _ask_range(ask, identifiers),
        await _ask_lookup(ask),
    )


async def _ask_in(ask: Asker, customers: Sequence[str]) -> Result:
    found: dict[int, str] = {}
    for size in IN_SIZES:
        some = customers[:size]
        query = odata.query(select=CUSTOMER, filter=odata.is_in(CUSTOMER, some))
        pages = await ask.pages(MAPPING_SET + query, 10 * len(some) + 1_000)
        found[len(some)] = describe_found(pages, CUSTOMER, some)
    return IN.settle(summarize_sizes(found), f"asked with {', '.join(map(str, found))} values")


async def _ask_or(ask: Asker, customers: Sequence[str]) -> Result:
    chain = " or ".join(f"{CUSTOMER} eq {odata.literal(customer)}" for customer in customers)
    pages = await ask.pages(MAPPING_SET + odata.query(select=CUSTOMER, filter=chain), 1_000)
    return OR.settle(describe_found(pages, CUSTOMER, customers), f"{len(customers)} terms")


async def _ask_start(ask: Asker, identifier: str) -> Result:
    prefix = identifier[:-4]
    query = odata.query(select=IDENTIFIER, filter=f"startswith({IDENTIFIER},{odata.literal(prefix)})")
    answer = await ask.get(MAPPING_SET + query)
    if not answer.is_ok:
        return STARTS.settle(f"refused: {answer.refusal}")
    texts = [str(row.get(IDENTIFIER)) for row in answer.rows]
    fits = identifier in texts and all(text.lower().startswith(prefix.lower()) for text in texts)
    return STARTS.settle("works" if fits else "other rows came")


async def _ask_range(ask: Asker, identifiers: Sequence[str]) -> tuple[Result, Result]:
    middle = len(identifiers) // 2
    between = identifiers[middle : middle + RANGE_ROWS]
    lower, upper = between[0], between[-1]
    stored = await ask.pages(_range(lower, upper), KNOWN_ROWS)
    answer = describe_range(stored, identifiers, lower, upper)
    shouted = await ask.pages(_range(lower.upper(), upper.upper()), KNOWN_ROWS)
    if answer.startswith("refused") or lower == lower.upper():
        return RANGE.settle(answer), RANGE_CASE.leave_open("Ranges are refused, or the bounds have no letter.")
    same = [sorted(str(row.get(IDENTIFIER)) for page in pages for row in page.rows) for pages in (stored, shouted)]
    return RANGE.settle(answer), RANGE_CASE.settle("folded" if same[0] == same[1] else "exact")


async def _ask_lookup(ask: Asker) -> Result:
    query = odata.query(select=MAPPING_KEY, filter=f"{OWN_LOOKUP} ne null", top=1)
    answer = await ask.get(MAPPING_SET + query)
    return BY_OWN_LOOKUP.settle("works" if answer.is_ok else f"refused: {answer.refusal}")


def _range(lower: str, upper: str) -> str:
    between = f"{IDENTIFIER} ge {odata.literal(lower)} and {IDENTIFIER} lt {odata.literal(upper)}"
    return MAPPING_SET + odata.query(select=IDENTIFIER, filter=between)


def describe_found(pages: Sequence[Answer], column: str, wanted: Sequence[str]) -> str:
    """Return whether a filter for some values brought rows of all of them and of no other."""
    refused = next((page for page in pages if not page.is_ok), None)
    if refused:
        return f"refused: {refused.refusal}"
    texts = {str(row.get(column)) for page in pages for row in page.rows}
    if {text.lower() for text in texts} - {text.lower() for text in wanted}:
        return "other rows came"
    return "works" if texts >= set(wanted) else f"incomplete: {len(texts)} of {len(wanted)} values"


def summarize_sizes(found: dict[int, str]) -> str:
    """Return up to how many values an operator works, and what becomes of more."""
    working = [size for size, answer in found.items() if answer == "works"]
    broken = next(((size, answer) for size, answer in found.items() if answer != "works"), None)
    if broken is None:
        return f"works: with {max(working)} values"
    if not working:
        return broken[1]
    return f"works with {max(working)} values, with {broken[0]} {broken[1]}"


def describe_range(pages: Sequence[Answer], known: Sequence[str], lower: str, upper: str) -> str:
    """Return whether a half-open range holds the known texts between its bounds, and nothing outside of them."""
    refused = next((page for page in pages if not page.is_ok), None)
    if refused:
        return f"refused: {refused.refusal}"
    came = {str(row.get(IDENTIFIER)) for page in pages for row in page.rows}
    if not came >= {text for text in known if lower <= text < upper}:
        return "rows between the bounds are missing"
    return "works" if all(lower <= text < upper for text in came) else "rows outside of the bounds came"


ONE = Point("one-sort-column", "2.3", "Can rows be sorted by one column?")
TWO = Point(
    "two-sort-columns",
    "2.3",
    "Can rows be sorted by two columns?",
    "elastic_orderby",
    {"refused for want of an index": "index", "refused": "plain"},
)
BY_LOOKUP = Point("sort-by-lookup", "2.3", "Can rows be sorted by a lookup?")
KEY_ORDER = Point("order-of-ids", "2.3", "In which order do ids of profiles come?")
TEXT_ORDER = Point("order-of-texts", "2.3", "In which order do identifiers come?")


@probe("P10", "Sorting", (ONE, TWO, BY_LOOKUP, KEY_ORDER, TEXT_ORDER))
async def ask_sorting(ask: Asker, scene: Scene) -> Sequence[Result]:
    need_rows(scene)
    stamps = await _sorted_by(ask, MAPPING_SET, "modifiedon", "modifiedon desc")
    two = await _sorted_by(ask, MAPPING_SET, f"modifiedon,{IDENTIFIER}", f"modifiedon desc,{IDENTIFIER}")
    lookup = await _sorted_by(ask, MAPPING_SET, MAPPING_KEY, OWN_LOOKUP)
    keys = await _sorted_by(ask, PROFILE_SET, PROFILE_KEY, PROFILE_KEY)
    texts = await _sorted_by(ask, MAPPING_SET, IDENTIFIER, IDENTIFIER)
    return (
        ONE.settle(describe_descending(stamps, "modifiedon")),
        TWO.settle(describe_two(two), two.text),
        BY_LOOKUP.settle("accepted" if lookup.is_ok else f"refused: {lookup.refusal}"),
        KEY_ORDER.settle(describe_key_order(keys)),
        TEXT_ORDER.settle(describe_text_order(texts)),
    )


async def _sorted_by(ask: Asker, entity_set: str, select: str, order: str) -> Answer:
    return await ask.get(entity_set + odata.query(select=select, orderby=order, top=50))


def describe_descending(answer: Answer, column: str) -> str:
    """Return whether the newest row came first."""
    if not answer.is_ok:
        return f"refused: {answer.refusal}"
    stamps = [str(row.get(column)) for row in answer.rows]
    return "works" if stamps == sorted(stamps, reverse=True) else "accepted, the rows are not sorted"


def describe_two(answer: Answer) -> str:
    """Return whether two sort columns work, and whether a refusal names a missing index."""
    said = describe_descending(answer, "modifiedon")
    return said.replace("refused", "refused for want of an index") if "index" in answer.text.lower() else said


def describe_key_order(answer: Answer) -> str:
    """Return whether GUIDs came in the order of their texts or in SQL Server's."""
    if not answer.is_ok:
        return f"refused: {answer.refusal}"
    keys = [str(row[PROFILE_KEY]).lower() for row in answer.rows]
    if len(keys) < 5:
        return "too few rows"
    orders = {"as texts": sorted(keys), "as SQL Server orders GUIDs": sorted(keys, key=sql_order)}
    return next((name for name, order in orders.items() if order == keys), "in another order")


def sql_order(text: str) -> bytes:
    """Return bytes that order as SQL Server orders a uniqueidentifier: the last group counts most."""
    raw = UUID(text).bytes_le
    return raw[10:] + raw[8:10] + raw[7:5:-1] + raw[5:3:-1] + raw[3::-1]


def describe_text_order(answer: Answer) -> str:
    """Return whether texts came by code points, or so that case does not count."""
    if not answer.is_ok:
        return f"refused: {answer.refusal}"
    texts = [str(row.get(IDENTIFIER)) for row in answer.rows]
    if texts == sorted(texts):
        return "by code points"
    return "without regard to case" if texts == sorted(texts, key=str.casefold) else "in another order"


PROBES = (ask_case, ask_operators, ask_sorting)
