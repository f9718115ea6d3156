"""The lookup column of a table that is prepared: created, found, refused, or waited for."""

import pytest

from linker.core.capabilities import Capability, TableKind
from linker.core.model import Mode
from tests.durable.activities.prepared_tables import prepared
from tests.fakes.requests import NAVIGATION, Refusal
from tests.fakes.world import World


@pytest.fixture
async def world() -> World:
    world = World()
    await world.can(Capability.IN_FILTER, Capability.MODIFIED_FILTER)
    return world


# ---- the column ----


@pytest.mark.parametrize(
    ("kind", "delete"),
    [(TableKind.STANDARD, "RemoveLink"), (TableKind.ELASTIC, "NoCascade"), (TableKind.VIRTUAL, "NoCascade")],
)
async def test_the_first_run_creates_the_column_with_the_documented_names(
    world: World, kind: TableKind, delete: str
) -> None:
    await world.can(kind=kind)
    world.contacts.column = False
    ready = await prepared(world)
    assert (ready.failed, ready.mode) == ("", Mode.FULL)
    (made,) = [asked.body for asked in world.dataverse.bodies]
    assert (made["Lookup"]["SchemaName"], made["ReferencedEntity"]) == (
        "msdynci_lookupfield_customerprofile",
        "msdynci_customerprofile",
    )
    assert made["Lookup"]["DisplayName"]["LocalizedLabels"][0]["Label"] == "Customer Profile"
    cascade = made["CascadeConfiguration"]
    assert cascade == {
        **dict.fromkeys(("Assign", "Merge", "Reparent", "Share", "Unshare"), "NoCascade"),
        "Delete": delete,
    }
    target = await world.deps.runs.target("run1", "contact")
    assert (target.navigation, target.column_created) == (NAVIGATION, True)


@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_column_of_that_name_that_is_not_a_lookup_is_reported_before_anything_is_created(
    world: World, dry_run: bool
) -> None:
    world.contacts.column = False
    world.dataverse.text_columns.append("msdynci_lookupfield_customerprofile")
    ready = await prepared(world, dry_run=dry_run)
    assert "is of type String" in ready.failed
    assert not world.dataverse.bodies


async def test_preparing_again_after_a_crash_still_knows_that_the_column_is_new(world: World) -> None:
    world.contacts.column = False
    await prepared(world)
    await prepared(world, survey=False)
    assert (await world.deps.runs.target("run1", "contact")).column_created


async def test_a_dry_run_creates_no_column_and_saves_no_epoch(world: World) -> None:
    world.contacts.column = False
    await prepared(world, dry_run=True)
    assert not world.dataverse.bodies
    assert (await world.deps.runs.target("run1", "contact")).column_created  # as it would be
    found = await world.deps.states.load("contact")
    assert found is None or found[0].epoch == ""


@pytest.mark.parametrize(
    ("values", "words"),
    [
        pytest.param({"column": False, "table_type": "Elastic"}, "elastic", id="elastic table"),
        pytest.param({"column": False, "table_type": "Virtual"}, "virtual", id="virtual table"),
        pytest.param({"column": False, "creatable": False}, "no new columns", id="no columns allowed"),
        pytest.param({"points_to": "account"}, "points to 'account'", id="a column of that name points elsewhere"),
    ],
)
async def test_a_table_that_cannot_have_the_column_says_why(
    world: World, values: dict[str, object], words: str
) -> None:
    for name, value in values.items():
        setattr(world.contacts, name, value)
    ready = await prepared(world)
    assert words in ready.failed
    assert "Nothing was written" in ready.failed
    assert ready.retry_s == 0.0


@pytest.mark.parametrize("languages", [[1031], [], None])
async def test_the_label_is_in_the_base_language_of_the_environment(world: World, languages: list[int] | None) -> None:
    world.contacts.column = False
    world.dataverse.languages = languages
    await prepared(world)
    (made,) = [asked.body for asked in world.dataverse.bodies]
    codes = {label["LanguageCode"] for label in made["Lookup"]["DisplayName"]["LocalizedLabels"]}
    assert codes == {languages[0] if languages else 1033}


async def test_an_environment_that_refuses_the_cascade_gets_the_column_without_one(world: World) -> None:
    await world.can(kind=TableKind.STANDARD)
    world.contacts.column = False

    def refuses(asked: object) -> None:
        if (
            getattr(asked, "kind", "") == "create column"
            and asked.body["CascadeConfiguration"]["Delete"] != "NoCascade"
        ):  # type: ignore[attr-defined]
            raise Refusal(400, "0x80047014", "Cascading is not supported.")

    world.dataverse.hooks.append(refuses)
    assert (await prepared(world)).failed == ""
    assert world.contacts.column


async def test_another_customisation_is_waited_for(world: World) -> None:
    world.contacts.column = False

    def locked(asked: object) -> None:
        if getattr(asked, "kind", "") == "create column":
            raise Refusal(429, "0x80071151", "Cannot start another [EntityCustomization]")

    world.dataverse.hooks.append(locked)
    assert (await prepared(world)).retry_s == 15.0


async def test_a_column_that_another_process_created_in_the_same_moment_is_used(world: World) -> None:
    """The vendor's own task may be faster: the answer is that the name is taken (docs/reference/dataverse.md 8.4)."""
    world.contacts.column = False

    def is_faster(asked: object) -> None:
        world.contacts.column = world.contacts.column or getattr(asked, "kind", "") == "create column"

    world.dataverse.hooks.append(is_faster)
    ready = await prepared(world)
    assert (ready.failed, world.dataverse.written["column"]) == ("", 0)
    assert (await world.deps.runs.target("run1", "contact")).navigation == NAVIGATION
