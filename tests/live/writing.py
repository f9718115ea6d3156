"""How links are written, refused, cleared and lost (docs/dev/proofs.md G11, G14, G15, G16, G17, G18)."""

from __future__ import annotations

from uuid import uuid4

from linker.adapters.dataverse.client import Dataverse
from linker.adapters.dataverse.web_api import BYPASS
from linker.core import odata
from linker.core.errors import DataverseError
from linker.core.throttling.error_classification import Answer, judge, named_ids
from tests.live.check import Unanswered, check
from tests.live.site import Site, bulk_key, outcome, refusal, send

BATCH = 500  # rows of a write, as a run begins (linker.core.model.Pace)
_NEVER_WRITE = "Stop: a write of the linker does harm here. Do not run it in this environment, and report it."
_ISOLATION = (
    "The linker does not recognise which row is to blame: good rows of a batch may fail with a bad one. Report it."
)


@check(
    "docs/reference/dataverse.md 2.2",
    claim="UpdateMultiple sets 500 lookups in one request.",
    expected="500 of 500 linked",
    advice="Links cannot be written as the linker writes them. Report what it says.",
)
async def update_multiple_with_binds(site: Site) -> str:
    if site.bulk < BATCH:
        raise Unanswered(f"There are only {site.bulk:,} rows: give --rows {BATCH} or more.")
    (profile,) = await site.new_profiles(1)
    ids = [bulk_key(number) for number in range(BATCH)]
    await site.write(site.bind(row, profile) for row in ids)
    linked = [row for row, link in (await site.links(ids)).items() if link == profile]
    return f"{len(linked)} of {len(ids)} linked"


@check(
    "docs/reference/dataverse.md 7",
    claim="A link is read back as a GUID in lower case.",
    expected="the GUID in lower case",
    advice="Read-back would not recognise its own links. Report it.",
)
async def reading_a_link_back(site: Site) -> str:
    (row,), (profile,) = await site.new_rows(1), await site.new_profiles(1)
    await site.write([site.bind(row, profile)])
    link = (await site.links([row]))[row]
    return "the GUID in lower case" if link == profile else str(link)


@check(
    "docs/reference/dataverse.md 2.5",
    claim="Of a row given twice in one UpdateMultiple the first counts.",
    expected="the first counts",
    advice="Nothing: the linker never sends a row twice in one request.",
    harmless=True,
)
async def a_row_twice_in_one_request(site: Site) -> str:
    (row,), profiles = await site.new_rows(1), await site.new_profiles(2)
    said = await outcome(site.write(site.bind(row, profile) for profile in profiles))
    link = (await site.links([row]))[row]
    return {profiles[0]: "the first counts", profiles[1]: "the last counts"}.get(link or "", said)


@check(
    "docs/reference/dataverse.md 2.6",
    claim="UpdateMultiple with a missing row is refused, says which one, and writes nothing.",
    expected="refused: 404 0x80040217, names the row, for a single row, nothing written",
    advice=_ISOLATION,
)
async def a_missing_row_in_bulk(site: Site) -> str:
    (row,), (profile,), missing = await site.new_rows(1), await site.new_profiles(1), str(uuid4())
    said = await _blamed(site, [site.bind(row, profile), site.bind(missing, profile)], missing)
    return f"{said}, {await _left(site, row, missing)}"


@check(
    "docs/reference/dataverse.md 2.2",
    claim="A link to a missing profile is refused as a matter of that row.",
    expected="refused: 404 0x80060891, names no row, for a single row, nothing written",
    advice=_ISOLATION,
)
async def a_missing_profile_in_bulk(site: Site) -> str:
    (row, other), (profile,) = await site.new_rows(2), await site.new_profiles(1)
    said = await _blamed(site, [site.bind(row, profile), site.bind(other, str(uuid4()))], other)
    return f"{said}, {await _left(site, row, '')}"


async def _blamed(site: Site, rows: list[dict[str, str]], guilty: str) -> str:
    """Return how a write was refused, whether the text names the row, and whether the linker sees a row to blame."""
    try:
        await site.write(rows)
    except DataverseError as error:
        named = "names the row" if guilty in named_ids(error.text) else "names no row"
        kind = judge(error.status, error.code, error.text)
        return f"{refusal(error)}, {named}, {'for a single row' if kind is Answer.ISOLATE else f'to {kind}'}"
    return "accepted"


async def _left(site: Site, row: str, missing: str) -> str:
    links = await site.links(filter(None, (row, missing)))
    if missing in links:
        return "a row created"
    return "nothing written" if links[row] is None else "the good row written"


@check(
    "docs/reference/dataverse.md 7",
    claim="A navigation property in the wrong case is refused.",
    expected="refused: 400 0x80048d19",
    advice="Nothing, as long as it is refused; if it is accepted, see whether the link was set, and report it.",
    harmless=True,
)
async def navigation_in_the_wrong_case(site: Site) -> str:
    (row,), (profile,) = await site.new_rows(1), await site.new_profiles(1)
    swapped = {key.swapcase() if "@" in key else key: value for key, value in site.bind(row, profile).items()}
    wrong = {key.replace("@ODATA.BIND", "@odata.bind"): value for key, value in swapped.items()}
    return await outcome(site.write([wrong]))


@check(
    "docs/reference/dataverse.md 4",
    claim="An update of a row that changed meanwhile is refused, and writes nothing.",
    expected="refused: 412 0x80060882, the link stays",
    advice=f"Unlinking relies on it. {_NEVER_WRITE}",
)
async def an_old_etag(site: Site) -> str:
    row, old = await _linked(site)
    await site.write([{site.rows.primary_id: row, site.own.name: "changed meanwhile"}])
    return await _cleared(site, row, old)


@check(
    "docs/reference/dataverse.md 4",
    claim="An update of a row as it was read empties its link.",
    expected="accepted, the link is gone",
    advice="Unlinking does not work here. Set LINKER_UNLINK_MAX_SHARE=0 and report what it says.",
)
async def the_current_etag(site: Site) -> str:
    return await _cleared(site, *await _linked(site))


async def _linked(site: Site) -> tuple[str, str]:
    """Return a new row that is linked, and its ETag."""
    (row,), (profile,) = await site.new_rows(1), await site.new_profiles(1)
    await site.write([site.bind(row, profile)])
    return row, str((await site.read([row]))[row]["@odata.etag"])


async def _cleared(site: Site, row: str, etag: str) -> str:
    refused = await site.dataverse.clear_links(site.target, {bytes.fromhex(row.replace("-", "")): etag})
    said = [refusal(error) for error in refused.values()] or ["accepted"]
    return f"{said[0]}, the link {'is gone' if (await site.links([row]))[row] is None else 'stays'}"


@check(
    "docs/reference/dataverse.md 4",
    claim="A single update with If-Match never creates a row.",
    expected="any version: refused: 404 0x80040217; that version: refused: 404 0x80040217; none created",
    advice=f"If a row was created: {_NEVER_WRITE} Another code of the refusal is harmless.",
)
async def updating_a_missing_row(site: Site) -> str:
    missing, said = str(uuid4()), []
    for name, etag in (("any version", "*"), ("that version", 'W/"1"')):
        part = site.dataverse.patch(site.rows.entity_set, missing, {site.own.name: "ghost"}, etag)
        refused = await site.dataverse.write_parts({missing: part})
        said += [f"{name}: {refusal(error)}" for error in refused.values()] or [f"{name}: accepted"]
    created = await site.links([missing])
    return "; ".join([*said, "a row created" if created else "none created"])


@check(
    "docs/reference/dataverse.md 3.3",
    claim="In a batch each update succeeds or fails alone, and answers come in the order of the parts.",
    expected="the bad one refused, the others written",
    advice=_ISOLATION,
)
async def a_batch_goes_on(site: Site) -> str:
    ids, missing = await site.new_rows(2), str(uuid4())
    (profile,) = await site.new_profiles(1)
    bind = {f"{site.navigation}@odata.bind": f"/{site.profiles.entity_set}({profile})"}
    parts = {row: site.dataverse.patch(site.rows.entity_set, row, bind, etag="*") for row in (ids[0], missing, ids[1])}
    refused = await site.dataverse.write_parts(parts)
    links = await site.links(ids)
    if set(refused) == {missing} and set(links.values()) == {profile}:
        return "the bad one refused, the others written"
    return f"{len(refused)} refused, {sum(link == profile for link in links.values())} written"


@check(
    "docs/reference/dataverse.md 4",
    claim="Writing the value that is there already is still an update: the row gets a new version.",
    expected="a new version",
    advice="Touching profiles has no effect here: set LINKER_TOUCH_PROFILES=false, it only costs requests.",
    harmless=True,
)
async def the_same_value_again(site: Site) -> str:
    (row,), (profile,) = await site.new_rows(1), await site.new_profiles(1)
    etags = []
    for _ in range(2):
        await site.write([site.bind(row, profile)])
        etags.append((await site.read([row]))[row]["@odata.etag"])
    return "a new version" if etags[0] != etags[1] else "the same version"


@check(
    "docs/reference/dataverse.md 8.1",
    claim="Deleting a row of a standard table empties the links to it, and the filter for empty links finds them.",
    expected="emptied, and found by the filter",
    advice="Links to deleted standard profiles stay, as those to elastic ones do. The search for orphaned links finds them.",
)
async def a_deleted_profile(site: Site) -> str:
    row, _ = await _linked(site)
    profile = (await site.links([row]))[row]
    await send(site.dataverse, "DELETE", f"{site.profiles.entity_set}({profile})")
    link = (await site.links([row])).get(row, "the row is gone too")
    if link is not None:
        return link
    empty = f"{site.link} eq null and {site.rows.primary_id} eq {row}"
    found = (await site.dataverse.get(site.rows.entity_set + odata.query(filter=empty)))["value"]
    return f"emptied, and {'found' if found else 'not found'} by the filter"


@check(
    "docs/reference/dataverse.md 10",
    claim="The headers that bypass custom logic are taken with UpdateMultiple.",
    expected="accepted",
    advice="LINKER_AUTOMATIONS=bypass does not work for this user: it needs prvBypassCustomBusinessLogic, which "
    "'python -m linker setup' gives to the app.",
)
async def bypassing_automations(site: Site) -> str:
    (row,), (profile,) = await site.new_rows(1), await site.new_profiles(1)
    writer = Dataverse(site.dataverse.connection, site.dataverse.meter, BYPASS)
    return await outcome(writer.update_multiple(site.own.row, site.rows.entity_set, [site.bind(row, profile)]))


CHECKS = (
    update_multiple_with_binds,
    reading_a_link_back,
    a_row_twice_in_one_request,
    a_missing_row_in_bulk,
    a_missing_profile_in_bulk,
    navigation_in_the_wrong_case,
    an_old_etag,
    the_current_etag,
    updating_a_missing_row,
    a_batch_goes_on,
    the_same_value_again,
    a_deleted_profile,
    bypassing_automations,
)
