"""What these tests share: browsers of people who signed in."""

from collections.abc import Callable

import pytest

from tests.entrypoints.portal.operators import LEFT, PEOPLE, Operator
from tests.fakes.app import FakeApp
from tests.fakes.browser import Browser
from tests.fakes.world import World, contact_id


@pytest.fixture
async def browser(world: World) -> Browser:
    made = Browser(world)
    await made.sign_in()
    return made


@pytest.fixture
def app(make_app: Callable[..., FakeApp]) -> FakeApp:
    """An app with twenty people linked."""
    app = make_app()
    app.world.people(PEOPLE)
    app.run()
    return app


@pytest.fixture
def held(app: FakeApp) -> FakeApp:
    """The app after a fifth of the people left the mapping."""
    for number in range(1, LEFT + 1):
        app.world.dataverse.map(contact_id(number), None)
    app.run()
    return app


@pytest.fixture
def operator(app: FakeApp) -> Operator:
    return Operator(app)
