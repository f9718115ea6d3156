"""How strings are compared: what pages by key range stand on (design decision 6)."""

from __future__ import annotations

from itertools import pairwise

from linker import odata
from linker.model import KeyRange
from tests.live.check import check
from tests.live.ground import SPELLED_KEYS
from tests.live.site import BULK, SPELLED, SPELLINGS, Site, bulk_key

CUTS = (None, "4", "8a", "c3f", None)  # leading digits of guid texts, as many as a range needs
RANGES = tuple(KeyRange(lower, upper) for lower, upper in pairwise(CUTS))
_SPLIT = (KeyRange(None, "8"), KeyRange("8", None))
_NO_RANGES = (
    "The linker reads pages by such ranges, so it cannot link here; a run looks at its own mapping before it plans, and "
    "refuses such a table as well. Report it, with the environment's base language."
)


@check(
    "dataverse.md 6.3",
    claim="The two halves of a range of identifiers hold every row once.",
    expected="every row in one half",
    advice=_NO_RANGES,
)
async def halves_of_a_range(site: Site) -> str:
    whole = await site.keys_in(BULK, KeyRange())
    halves = [await site.keys_in(BULK, half) for half in _SPLIT]
    if sorted(whole) == sorted(halves[0] + halves[1]):
        return "every row in one half"
    return f"{len(whole)} rows, {len(halves[0])} and {len(halves[1])} in the halves"


@check(
    "dataverse.md 6.3",
    claim="A range between leading digits of different length holds the keys that begin in between.",
    expected="as the digits say",
    advice=_NO_RANGES,
)
async def cuts_of_more_digits(site: Site) -> str:
    wanted = [_between(site, keys) for keys in RANGES]
    found = [sorted(await site.keys_in(BULK, keys)) for keys in RANGES]
    return (
        "as the digits say" if found == wanted else f"{list(map(len, found))}, by the digits {list(map(len, wanted))}"
    )


def _between(site: Site, keys: KeyRange) -> list[str]:
    texts = sorted(bulk_key(number) for number in range(site.bulk))
    return [text for text in texts if (keys.lower or "") <= text < (keys.upper or "g")]


@check(
    "dataverse.md 6.2",
    claim="A bound in upper case cuts where the same bound in lower case cuts.",
    expected="the same rows",
    advice="Ranges regard case here: keys in capital letters would land in another page than their row. Report it.",
)
async def bounds_in_upper_case(site: Site) -> str:
    lower, upper = [await site.keys_in(BULK, keys) for keys in (KeyRange("8a", "c3f"), KeyRange("8A", "C3F"))]
    return "the same rows" if sorted(lower) == sorted(upper) else f"{len(lower)} rows, {len(upper)} in upper case"


@check(
    "dataverse.md 6.2, 6.3",
    claim="A key lies in some page, however it is written: lower case, upper case, in braces.",
    expected="every spelling in one page",
    advice=_NO_RANGES,
)
async def every_spelling_has_a_page(site: Site) -> str:
    found = [key for half in _SPLIT for key in await site.keys_in(SPELLED, half)]
    if len(found) == len(set(found)) == SPELLED_KEYS * len(SPELLINGS):
        return "every spelling in one page"
    return f"{len(found)} of {SPELLED_KEYS * len(SPELLINGS)}, {len(set(found))} of them different"


@check(
    "dataverse.md 6.3",
    claim="Keys in capital letters lie beside the same keys in small ones.",
    expected="in the same range",
    advice="Nothing: where spellings of one key lie in different pages, one of these decides on the row.",
    harmless=True,
)
async def capitals_beside_small_letters(site: Site) -> str:
    found = [set(await site.keys_in(SPELLED, keys)) for keys in RANGES]
    apart = [key for keys in found for key in keys if key[0] != "{" and not {key.lower(), key.upper()} <= keys]
    return "in the same range" if not apart else f"{len(apart)} keys lie apart from their other spelling"


@check(
    "dataverse.md 6.3",
    claim="Keys in braces lie below all others, or above.",
    expected="below",
    advice="Nothing: the first page has no lower bound and the last no upper one.",
    harmless=True,
)
async def keys_in_braces(site: Site) -> str:
    ends = {"below": KeyRange(None, "0"), "above": KeyRange("g", None)}
    found = {place: len(await site.keys_in(SPELLED, keys)) for place, keys in ends.items()}
    return next((place for place, rows in found.items() if rows == SPELLED_KEYS), str(found))


@check(
    "dataverse.md 6.3",
    claim="Canonical guids, kept as text, order as their texts do.",
    expected="as text",
    advice=_NO_RANGES,
)
async def order_of_guid_texts(site: Site) -> str:
    columns = site.own.columns
    query = odata.query(select=columns.key, filter=columns.of_source(BULK), orderby=columns.identifier)
    path = site.rows.entity_set + query
    found = [row[columns.key] async for page in site.dataverse.rows(path) for row in page]
    return "as text" if found == sorted(bulk_key(number) for number in range(site.bulk)) else "otherwise"


@check(
    "dataverse.md 6.2",
    claim="An underscore or a percent sign in a compared text matches more than itself.",
    expected="_ is a wildcard, % is a wildcard",
    advice="Nothing: the linker sends such names as they are and checks what comes back.",
    harmless=True,
)
async def wildcards_in_eq(site: Site) -> str:
    found = {sign: await _count(site, f"live{sign}roof") for sign in "_%"}
    return ", ".join(f"{sign} is {'a wildcard' if count else 'itself'}" for sign, count in found.items())


@check(
    "dataverse.md 6.2",
    claim="A range from a text to itself finds what has this text, and no wildcard in it finds anything else.",
    expected="itself alone",
    advice="A source with %, _ or [ in its name may hide another one, or not be found itself. Report it.",
)
async def wildcards_in_ranges(site: Site) -> str:
    column = site.own.columns.data_source
    own = odata.literal(BULK.data_source)
    itself = await site.dataverse.count(site.rows.entity_set, f"{column} ge {own} and {column} le {own}")
    others = [
        await site.dataverse.count(site.rows.entity_set, odata.is_exactly(column, f"live{sign}roof")) for sign in "_%"
    ]
    return "itself alone" if itself and not any(others) else f"itself {itself} times, others {others}"


async def _count(site: Site, data_source: str) -> int:
    expression = f"{site.own.columns.data_source} eq {odata.literal(data_source)}"
    return await site.dataverse.count(site.rows.entity_set, expression)


CHECKS = (
    halves_of_a_range,
    cuts_of_more_digits,
    bounds_in_upper_case,
    every_spelling_has_a_page,
    capitals_beside_small_letters,
    keys_in_braces,
    order_of_guid_texts,
    wildcards_in_eq,
    wildcards_in_ranges,
)
