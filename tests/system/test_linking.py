"""The main job: after a unification every row has the right link, and only rows that changed were written."""

from pathlib import Path

import pytest

from sandbox.data.lookup_column import LOOKUP
from sandbox.demo.clients import TableCheck
from sandbox.schema.insights_tables import PROFILES

from .conftest import MakeWorld
from .world import FEBRL, SAMPLE, TABLES, World, links_in

SIZES = {
    SAMPLE: {"contact": 60, "lead": 30, "loyCustomer": 12},
    FEBRL: {"contact": 2965, "lead": 1494, "loyCustomer": 541},
}


@pytest.mark.parametrize("folder", [pytest.param(SAMPLE, id="sample"), pytest.param(FEBRL, id="FEBRL 3")])
def test_every_row_is_linked_once_then_never_again_until_it_moves(make: MakeWorld, folder: Path) -> None:
    if not folder.exists():
        pytest.skip(f"{folder} is not there")
    world, sizes = make("--load", str(folder)), SIZES[folder]
    rows = sizes["contact"] + sizes["lead"]
    assert {source.table: source.rows for source in world.sandbox.sources()} == sizes

    first = world.publish()
    assert (first["status"], first["mode"]) == ("Successful", "full")
    assert first["counts"] == counts(rowsRead=rows, linked=rows)
    assert {table: world.links(table) for table in TABLES} == {table: links_in(folder, table) for table in TABLES}
    assert (world.counted("rowsWritten"), world.counted("rowsChanged")) == (rows, rows)
    profiles = len({profile for table in TABLES for profile in world.links(table).values()})
    assert first["touches"] == touches(profiles=profiles, touched=profiles)
    assert (world.counted("rowsWritten", PROFILES), world.counted("rowsChanged", PROFILES)) == (profiles, 0)
    assert first["followUp"] is None

    world.sandbox.reset_counters()
    second = world.ended(world.app.request(mode="incremental"))
    assert (second["status"], second["mode"]) == ("Successful", "incremental")
    assert second["counts"] == counts(rowsRead=rows, unchanged=rows)
    assert (world.counted("rowsWritten"), world.counted("rowsChanged")) == (0, 0)
    assert (world.counted("rowsWritten", PROFILES), second["touches"]) == (0, touches())

    before = {table: (world.truth(table), world.versions(table)) for table in TABLES}
    done = world.unify(move=0.01, seed=3)
    third = world.publish(done["jobId"])
    assert third["counts"] == counts(rowsRead=rows, linked=done["moved"], unchanged=rows - done["moved"])
    assert (world.counted("rowsWritten"), world.counted("rowsChanged")) == (done["moved"], done["moved"])
    for table, (truth, versions) in before.items():
        now, truth_now = world.versions(table), world.truth(table)
        assert {row for row in now if now[row] != versions[row]} == {
            row for row in truth if truth[row] != truth_now[row]
        }
        assert world.links(table) == truth_now


def test_a_table_with_an_irregular_set_name_and_its_own_key_is_linked_too(make: MakeWorld) -> None:
    world = make(
        "--contacts", "40", "--leads", "20", "--members", "30", "--switch", "mapping_name_column=msdynci_entityname"
    )
    run = world.publish()
    assert {table["table"]: table["counts"]["linked"] for table in run["tables"]} == {
        "contact": 40,
        "lead": 20,
        "new_member": 30,
    }
    assert world.sandbox.check("new_member") == TableCheck("new_member", right=30)


def test_a_source_that_is_not_a_dataverse_table_leaves_a_note_and_the_run_successful(shown: World) -> None:
    run = shown.app.status()["run"]
    assert run["status"] == "Successful"
    assert run["warnings"] == []
    assert [note for note in run["notes"] if "'loyCustomer'" in note]


def test_the_column_has_the_documented_names_and_nothing_cascades(shown: World) -> None:
    path = f"EntityDefinitions(LogicalName='lead')/ManyToOneRelationships?$filter=ReferencingAttribute eq '{LOOKUP}'"
    (relationship,) = shown.sandbox.get(path)["value"]
    attribute = shown.sandbox.get(f"EntityDefinitions(LogicalName='lead')/Attributes(LogicalName='{LOOKUP}')")
    assert relationship["ReferencedEntity"] == "msdynci_customerprofile"
    assert attribute["SchemaName"] == LOOKUP
    assert attribute["DisplayName"]["UserLocalizedLabel"]["Label"] == "Customer Profile"
    cascade = {kind: does for kind, does in relationship["CascadeConfiguration"].items() if does is not None}
    assert set(cascade.values()) == {"NoCascade"}


def test_the_status_shows_the_task_and_who_wrote(shown: World) -> None:
    status = shown.app.status()
    assert (status["task"], status["group"]) == ("CustomerId Backstamping Hydration", "Dataverse Hydration")
    assert status["status"] == status["run"]["status"] == "Successful"
    assert status["run"]["serviceAccount"]
    assert status["run"]["modeReason"]
    assert [(table["table"], table["dataSource"]) for table in status["run"]["tables"]] == [
        ("contact", "DynamicsSales"),
        ("lead", "DynamicsSales"),
    ]


def test_a_dry_run_in_any_mode_counts_what_it_would_do_and_writes_nothing_anywhere(fresh: World) -> None:
    for mode in ("incremental", "verify", "full"):
        dry = fresh.ended(fresh.app.request(mode=mode, dryRun=True))
        assert (dry["status"], dry["dryRun"], dry["counts"]) == ("Successful", True, counts(rowsRead=90, linked=90))
    assert (fresh.counted("rowsWritten"), fresh.counted("rowsWritten", PROFILES)) == (0, 0)
    path = f"EntityDefinitions(LogicalName='contact')/Attributes?$filter=LogicalName eq '{LOOKUP}'"
    assert fresh.sandbox.get(path)["value"] == []
    first = fresh.publish()
    assert (first["counts"]["linked"], first["touches"]["profiles"]) == (90, dry["touches"]["profiles"])


def test_a_full_run_adopts_links_that_are_right_without_writing_them(linked: World) -> None:
    run = linked.ended(linked.app.request(mode="full"))
    assert (run["status"], run["counts"]) == ("Successful", counts(rowsRead=90, unchanged=90))
    assert linked.counted("rowsWritten") == 0


def touches(**given: int) -> dict[str, int]:
    return dict.fromkeys(("profiles", "touched", "vanished", "refused"), 0) | given


def counts(**given: int) -> dict[str, int]:
    names = ("rowsRead", "linked", "unchanged", "unlinked", "rejected", "deferred")
    return dict.fromkeys(names, 0) | given
