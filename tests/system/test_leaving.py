"""Rows that leave unification lose the link that the app gave them, unless too many leave at once."""

from .world import TABLES, World


def test_links_of_dropped_rows_are_cleared_and_no_others(linked: World) -> None:
    before = {table: linked.versions(table) for table in TABLES}
    done = linked.unify(drop=0.05)
    run = linked.publish(done["jobId"])
    assert run["status"] == "Successful"
    assert (run["counts"]["unlinked"], run["counts"]["linked"]) == (done["dropped"], 0)
    assert linked.counted("rowsChanged") == done["dropped"] > 0
    for table in TABLES:
        links, truth, now = linked.links(table), linked.truth(table), linked.versions(table)
        assert {row: link for row, link in links.items() if link is not None} == truth
        assert {row for row in now if now[row] != before[table][row]} == links.keys() - truth.keys()


def test_nothing_is_unlinked_when_more_than_a_tenth_of_a_table_leaves(linked: World) -> None:
    before = {table: linked.links(table) for table in TABLES}
    done = linked.unify(drop=0.4)
    run = linked.publish(done["jobId"])
    assert run["status"] == "Completed with warnings"
    assert (run["counts"]["unlinked"], run["counts"]["deferred"]) == (0, done["dropped"])
    assert linked.counted("rowsWritten") == 0
    assert {table: linked.links(table) for table in TABLES} == before


def test_an_allowed_run_clears_exactly_the_links_that_were_held_back_and_the_next_run_is_guarded_again(
    linked: World,
) -> None:
    done = linked.unify(drop=0.2)
    held = linked.publish(done["jobId"])
    tables = {table["table"]: table["heldBack"] for table in held["tables"]}
    assert (held["status"], sum(tables.values())) == ("Completed with warnings", done["dropped"])
    allowed = [{"table": table, "mostRows": rows} for table, rows in tables.items()]
    before = {table: linked.versions(table) for table in TABLES}
    run = linked.ended(linked.app.request(allowUnlinking=allowed))
    assert (run["status"], run["counts"]["unlinked"]) == ("Successful", done["dropped"])
    for table in TABLES:
        links, truth, now = linked.links(table), linked.truth(table), linked.versions(table)
        assert {row: link for row, link in links.items() if link is not None} == truth
        assert {row for row in now if now[row] != before[table][row]} == links.keys() - truth.keys()
    again = linked.unify(drop=0.2)
    after = linked.publish(again["jobId"])
    assert (after["counts"]["unlinked"], after["counts"]["deferred"]) == (0, again["dropped"])
    assert (linked.counted("rowsWritten"), after["unlinkAllowed"]) == (0, [])


def test_rows_whose_profile_is_missing_wait_and_are_linked_when_it_comes_back(linked: World) -> None:
    """Nothing empties a link to an elastic profile, so only a run that looks at every link finds that it is gone."""
    linked.unify(delete_profiles=0.05)
    linked.publish()
    waiting = linked.ended(linked.app.request(mode="verify"))
    assert waiting["status"] == "Completed with warnings"
    assert waiting["counts"]["deferred"] > 0
    assert linked.ended(waiting["followUp"])["counts"]["deferred"] == waiting["counts"]["deferred"]
    linked.unify(bring_back="new id")
    after = linked.publish()
    assert (after["status"], after["counts"]["linked"]) == ("Successful", waiting["counts"]["deferred"])
    assert {table: linked.links(table) for table in TABLES} == {table: linked.truth(table) for table in TABLES}
