"""Whatever Dataverse answers: each run ends with a status and words, no link is wrong, and all is right soon afterwards.

Each kind of request gets a third of the damages, another third than the one before; with HYPOTHESIS_PROFILE=long all of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest

from linker.adapters.dataverse import Connection
from tests.fakes.app import FakeApp
from tests.fakes.requests import URL
from tests.fakes.world import contact_id
from tests.malformed_input import IS_LONG
from tests.malformed_input.damage import DAMAGES, Damage, Damaging

KINDS = (
    "GET WhoAmI",
    "GET systemusers fullname",
    "GET EntityDefinitions LogicalName",
    "GET EntityDefinitions/Attributes LogicalName",
    "GET msdynci_alternatekeys msdynci_datasourcename",
    "GET msdynci_alternatekeys msdynci_alternatevalue",
    "GET contacts contactid",
    "GET msdynci_customerprofiles msdynci_customerid",
    "GET EntityDefinitions/ManyToOneRelationships SchemaName",
    "GET sdkmessageprocessingsteps name",
    "GET workflows name",
    "GET callbackregistrations name",
    "GET msdynci_alternatekeys/$count",
    "GET sdkmessagefilters sdkmessagefilterid",
    "POST $batch contacts",
    "POST $batch msdynci_customerprofiles",
    "POST contacts/Microsoft.Dynamics.CRM.UpdateMultiple",
    "POST $batch msdynci_alternatekeys",
    "GET EntityDefinitions PrimaryNameAttribute",
    "GET contacts _msdynci_lookupfield_customerprofile_value",
    "GET msdynci_alternatekeys msdynci_customerid",
    "GET EntityDefinitions/OneToManyRelationships SchemaName",
    "POST $batch EntityDefinitions",
    "POST $batch EntityDefinitions/Attributes",
    "POST $batch systemusers",
)  # fmt: skip
NAMES = tuple(DAMAGES)
STRIDE = 1 if IS_LONG else 3
MET = [(kind, name) for at, kind in enumerate(KINDS) for name in NAMES[at % STRIDE :: STRIDE]]
MAY_BE = {contact_id(1): {None, "c1", "c2"}, contact_id(2): {None, "c2"}, contact_id(3): {None, "c3"}}


def app_over(make_app: Callable[..., FakeApp], kind: str = "", damage: Damage = lambda document: document) -> FakeApp:
    """Return an app over three contacts; Dataverse damages its answers to requests of a kind."""
    app = make_app(unlink_max_share=1)
    meet(app, Damaging(app.world.dataverse, kind, damage))
    return app


def meet(app: FakeApp, damaging: Damaging) -> Damaging:
    """Let the app meet this Dataverse from now on."""
    client = httpx.AsyncClient(transport=httpx.MockTransport(damaging))
    app.world.deps = replace(app.world.deps, connection=Connection(URL, client, app.world.tokens))
    return damaging


def two_runs(app: FakeApp) -> None:
    """Link everything, then let one row move and one leave, and link again."""
    app.run()
    app.world.dataverse.map(contact_id(1), "c2")
    app.world.dataverse.map(contact_id(3), None)
    app.run()


def test_every_kind_of_request_is_met(make_app: Callable[..., FakeApp]) -> None:
    app = make_app(unlink_max_share=1)
    damaging = meet(app, Damaging(app.world.dataverse))
    two_runs(app)
    assert set(damaging.kinds) == set(KINDS)


@pytest.mark.parametrize(("kind", "name"), MET)
def test_an_answer_in_another_shape_ends_in_words_and_in_no_wrong_link(
    make_app: Callable[..., FakeApp], kind: str, name: str
) -> None:
    app = app_over(make_app, kind, DAMAGES[name])
    two_runs(app)
    for row, customer in app.world.links().items():
        assert customer in MAY_BE[row]
    meet(app, Damaging(app.world.dataverse))
    app.run()
    app.run()
    assert app.world.is_right(), app.world.links()
