"""The oracle of the matrix notices what it is there to notice."""

from collections.abc import Callable

import pytest

from linker.core.model import Mode, Run
from sandbox.database import Stamp, bulk_update, scan
from sandbox.switches.config import SandboxConfig, changed
from tests.matrix import story
from tests.matrix.cases import BASE
from tests.matrix.place import Place, place

CONFIG = changed(SandboxConfig(), {**BASE, "protection": False})


def set_link(here: Place, value: Callable[[str | None], str | None]) -> None:
    """Change one link behind the back of the app."""
    row, link = next(scan(here.database, "contact", ["contactid", story.LOOKUP]))
    stamp = Stamp(here.sandbox.environment.clock(), bytes(16))
    bulk_update(here.database, "contact", [{"contactid": row, story.LOOKUP: value(link and str(link))}], stamp)


@pytest.mark.parametrize(
    "value",
    [lambda _: None, lambda _: "00000000-0000-4000-8000-000000000000"],
    ids=["an empty link", "another profile"],
)
def test_a_wrong_link_is_noticed(value: Callable[[str | None], str | None]) -> None:
    with place(CONFIG) as here:
        here.run()
        assert story.wrong_links(here) == []
        set_link(here, value)
        assert len(story.wrong_links(here)) == 1
        here.run(mode=Mode.FULL)
        assert story.wrong_links(here) == []


def test_writes_where_nothing_changed_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    moves = {"first link": story.first_link, "nothing changed": story.some_move}
    monkeypatch.setattr(story, "ACTS", moves)
    assert any("rows were written" in fault for fault in story.play(CONFIG).faults)


def test_a_report_of_links_that_were_not_set_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def boast(here: Place) -> Run:
        here.reported += 1
        return here.run()

    monkeypatch.setattr(story, "ACTS", {"first link": boast})
    assert any("rows were changed so far" in fault for fault in story.play(CONFIG).faults)
