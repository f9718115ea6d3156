"""What the app consists of, as the host sees it: nothing that did not come from its own table of contents."""

import re
from pathlib import Path

import httpx

from linker.durable.activities import ACTIVITIES
from linker.durable.orchestrators import ORCHESTRATOR, ORCHESTRATORS
from sandbox.demo.children import Child

CONTENTS = Path(__file__).parents[2] / "function_app.py"


def test_the_app_has_no_function_that_does_not_stand_in_its_table_of_contents(authenticated: Child) -> None:
    """The durable library brings one that fetches any address with a token of the app: it must not be found here."""
    own = {*re.findall(r"^ *async def (\w+)", CONTENTS.read_text(encoding="utf-8"), re.MULTILINE)}
    found = httpx.get(f"{authenticated.ready['url']}/admin/functions", timeout=120).raise_for_status().json()
    names = {one["name"] for one in found}
    assert names - own - ORCHESTRATORS.keys() - ACTIVITIES.keys() == set()
    assert {"link_shard", ORCHESTRATOR} <= names
