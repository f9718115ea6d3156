"""A key that stands in the mapping in several spellings, over several pages, is one row (design decisions 6 and 18)."""

import pytest

from linker.activities.page import link_page
from linker.activities.planning import split_pages
from linker.activities.values import PageOutcome, PageTask, SplitTask
from linker.model import Counts, Mode
from linker.pages import PAGE_ROWS, decides
from tests.fakes.world import VERSION, World, contact_id, key_of

ROW = contact_id(0xA0000001)  # of the second page; blanks sort before it, braces behind
BRACED, BLANK = f"{{{ROW}}}", f" {ROW}"


@pytest.fixture
async def world() -> World:
    """Two pages, one contact, two customers."""
    world = World()
    world.contact(0xA0000001)
    for customer in ("a", "b"):
        world.dataverse.profile(customer)
    await world.prepare("run0", cuts=("8",))
    return world


async def both(world: World, run: str) -> tuple[list[PageOutcome], Counts]:
    """Link both pages and unlink what departed; return the outcomes of the pages and all counts."""
    pages = [await world.link(run, page=page) for page in range(2)]
    counts, departed = sum((page.counts for page in pages), Counts()), sum(page.departed for page in pages)
    return pages, counts + (await world.unlink(run, departed=departed)).counts if departed else counts


@pytest.mark.parametrize(
    ("mine", "found", "expected"),
    [
        pytest.param([ROW], [ROW, BRACED], True, id="the canonical text decides"),
        pytest.param([BRACED], [ROW, BRACED], False, id="no other one does"),
        pytest.param([ROW.upper()], [ROW, ROW.upper()], False, id="not in capitals either"),
        pytest.param([ROW.upper()], [BRACED, ROW.upper()], True, id="without it the first one"),
        pytest.param([BRACED], [BRACED, ROW.upper()], False, id="not the second one"),
        pytest.param([ROW, BRACED], [ROW, BRACED], True, id="both on one page"),
        pytest.param([BLANK], [BRACED], False, id="what is not found leaves it to others"),
        pytest.param([BLANK], [], True, id="unless there are none"),
    ],
)
def test_which_page_decides(mine: list[str], found: list[str], *, expected: bool) -> None:
    assert decides(key_of(0xA0000001), mine, found) is expected


async def test_two_odd_spellings_on_two_pages_are_one_row_that_one_page_decides_on(world: World) -> None:
    world.dataverse.map(BRACED, "a")
    world.dataverse.map(BLANK, "b")
    pages, counts = await both(world, "run1")
    assert (counts, [page.conflicts for page in pages]) == (Counts(rows_read=1, linked=1), [1, 0])
    assert world.links() == {ROW: "a"}
    assert (await both(world, "run2"))[1] == Counts(rows_read=1, unchanged=1)
    assert world.dataverse.written == {"bulk": 1}


@pytest.mark.parametrize("spelling", [BRACED, BLANK])
async def test_a_row_that_is_spelled_in_another_way_from_now_on_keeps_its_link(world: World, spelling: str) -> None:
    world.dataverse.map(ROW, "a")
    assert (await both(world, "run1"))[1] == Counts(rows_read=1, linked=1)
    for now, before in ((spelling, ROW), (ROW, spelling)):
        world.dataverse.map(before, None)
        world.dataverse.map(now, "a")
        for run in (f"{now} 1", f"{now} 2"):  # in the first of them another page takes it over
            _, counts = await both(world, run)
            assert (counts.deferred, counts.unlinked) == (0, 0)
            assert world.links() == {ROW: "a"}
        assert (await both(world, f"{now} 3"))[1] == Counts(rows_read=1, unchanged=1)


async def test_keys_in_braces_survive_a_split_of_their_page() -> None:
    world, number = World(), PAGE_ROWS + 100
    world.people(number)
    world.contact(0xA0000001)
    world.dataverse.profile("a")
    world.dataverse.map(BRACED, "a")
    await world.prepare("run0", cuts=("00000001", contact_id(number - 10)))
    for page in range(3):
        await world.link("run0", page=page)
    world.dataverse.written.clear()
    split = await split_pages(world.deps, SplitTask("run0", "contact", VERSION, (2,)))
    assert split.shares == ((2, 3),), "few rows: one page will do"
    split = await split_pages(world.deps, SplitTask("run0", "contact", split.version, (1, 2)))
    plan = (await world.deps.plans.load("contact"))[0].plan  # type: ignore[index]
    await world.prepare("run1")
    tasks = [PageTask("run1", "contact", split.version, page, Mode.INCREMENTAL, "") for page in range(plan.pages)]
    outcomes = [await link_page(world.deps, task) for task in tasks]
    assert sum((outcome.counts for outcome in outcomes), Counts()) == Counts(rows_read=number + 1, unchanged=number + 1)
    assert not world.dataverse.written
