"""Links of an answer repeat the host of its request: Microsoft's page on paging, and recordings of real answers."""

import pytest

from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.steps import create, read

HOST = "Contoso.CRM4.dynamics.com:443"
ROOT = f"http://{HOST}/api/data/v9.2/"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        pytest.param("contacts?$select=lastname", "@odata.context", id="context of rows"),
        pytest.param("WhoAmI", "@odata.context", id="context of a function"),
        pytest.param("EntityDefinitions?$select=LogicalName", "@odata.context", id="context of metadata"),
        pytest.param("contacts?$select=lastname", "@odata.nextLink", id="next link"),
    ],
)
async def test_a_link_begins_with_the_host_that_was_asked(api: Client, url: str, name: str) -> None:
    for last_name in ("Ash", "Elm"):
        await create(api, "contacts", lastname=last_name)
    document = await read(api, url, Host=HOST, Prefer="odata.maxpagesize=1")
    assert document[name].startswith(ROOT)


async def test_a_created_row_has_its_url_at_the_host_that_was_asked(api: Client) -> None:
    answer = await api.post("contacts", json={"lastname": "Ash"}, headers={"Host": HOST})
    assert answer.headers["OData-EntityId"].startswith(f"{ROOT}contacts(")


async def test_the_parts_of_a_batch_answer_with_the_host_of_the_batch(api: Client) -> None:
    body = "--b\r\nContent-Type: application/http\r\n\r\nGET /api/data/v9.2/WhoAmI HTTP/1.1\r\n\r\n\r\n--b--\r\n"
    headers = {"Host": HOST, "Content-Type": "multipart/mixed; boundary=b"}
    answer = await api.post("$batch", content=body, headers=headers)
    assert f'"@odata.context":"{ROOT}$metadata' in answer.text
