"""Names of tables, columns, keys and relationships that are refused: docs/reference/dataverse.md 8.1 and 8.4."""

from typing import Any

import pytest

from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.definitions import CONTACT, bank, column, paired
from tests.sandbox.webapi.steps import create_lookup, error


@pytest.mark.parametrize(
    ("url", "body", "code"),
    [
        pytest.param("EntityDefinitions", bank() | {"SchemaName": "sqlite_A"}, "0x80044344", id="reserved prefix"),
        pytest.param(
            "EntityDefinitions",
            {"SchemaName": "new_A", "Attributes": [column("new_Name", IsPrimaryName=True), column("new_Name")]},
            "0x80060304",
            id="column twice",
        ),
        pytest.param(
            "EntityDefinitions",
            {"SchemaName": "new_A", "Attributes": [column("new_Name", IsPrimaryName=True), column("new_Aid")]},
            "0x80060304",
            id="column named as the key",
        ),
        pytest.param(
            "RelationshipDefinitions", paired("new_x", IntersectEntityName="contact"), "0x80044346", id="table in use"
        ),
        pytest.param(
            "RelationshipDefinitions",
            paired("new_x", IntersectEntityName="systemuserroles"),
            "0x80044346",
            id="intersect in use",
        ),
        pytest.param(
            "RelationshipDefinitions", paired("new_x", IntersectEntityName='a "b'), "0x80044344", id="no name"
        ),
        pytest.param(
            f"{CONTACT}/Keys", {"SchemaName": "no name", "KeyAttributes": ["lastname"]}, "0x80044344", id="key's name"
        ),
        pytest.param(
            f"{CONTACT}/Keys",
            {"SchemaName": "new_key", "KeyAttributes": ["lastname", "lastname"]},
            "0x80060886",
            id="column twice in a key",
        ),
    ],
)
async def test_a_name_that_cannot_be_is_refused(api: Client, url: str, body: dict[str, Any], code: str) -> None:
    assert error(await api.post(url, json=body)) == (400, code)


@pytest.mark.parametrize(
    ("names", "code"),
    [
        ({"ReferencingEntityNavigationPropertyName": "createdby"}, "0x80072551"),
        ({"ReferencingEntityNavigationPropertyName": "lastname"}, "0x80048835"),
        ({"ReferencedEntityNavigationPropertyName": "msdynci_customerid"}, "0x80048835"),
    ],
)
async def test_a_navigation_property_is_not_named_as_another(api: Client, names: dict[str, str], code: str) -> None:
    assert error(await create_lookup(api, **names)) == (400, code)
