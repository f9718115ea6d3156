"""Microsoft's unchanged powerplatform-dataverse-client over HTTPS against the sandbox (docs/reference/dataverse.md 17)."""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn
from azure.core.credentials import AccessToken
from PowerPlatform.Dataverse.client import DataverseClient
from PowerPlatform.Dataverse.core.errors import HttpError
from PowerPlatform.Dataverse.models.filters import col
from PowerPlatform.Dataverse.models.upsert import UpsertItem

from sandbox.database import Database
from sandbox.identity.accounts import ADMIN
from sandbox.runtime import Environment
from sandbox.server.app import Sandbox, compose
from sandbox.server.certificates import ensure_certificates


@dataclass
class Credential:
    """Hands out the sandbox's own tokens."""

    sandbox: Sandbox

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        token = self.sandbox.identity.authority.issue(ADMIN, scopes[0], 600)
        return AccessToken(token["access_token"], int(token["expires_on"]))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataverseClient]:
    files = ensure_certificates(tmp_path_factory.mktemp("tls"))
    database = Database()
    with pytest.MonkeyPatch.context() as patch, socket.create_server(("127.0.0.1", 0)) as listener:
        patch.setenv("REQUESTS_CA_BUNDLE", str(files.ca))
        url = f"https://localhost:{listener.getsockname()[1]}"
        sandbox = compose(Environment(database, base_url=url))
        config = uvicorn.Config(
            sandbox.app,
            ws="none",
            loop="asyncio",
            log_level="critical",
            ssl_certfile=files.certificate,
            ssl_keyfile=files.key,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        with DataverseClient(url, Credential(sandbox)) as made:
            yield made
        for connection in list(server.server_state.connections):  # else each waits 30 s for the end of its TLS
            connection.loop.call_soon_threadsafe(connection.transport.abort)  # type: ignore[union-attr]
        while server.server_state.connections:
            time.sleep(0.01)
        server.should_exit = True
        thread.join()
    database.close()


@pytest.fixture(scope="module")
def contacts(client: DataverseClient) -> list[str]:
    """Five contacts made by one CreateMultiple."""
    return client.records.create("contact", [{"lastname": f"Ash{i}", "jobtitle": "nurse"} for i in range(5)])


def test_a_row_is_created_retrieved_updated_and_deleted(client: DataverseClient) -> None:
    row_id = client.records.create("contact", {"lastname": "Elm", "firstname": "Ann"})
    client.records.update("contact", row_id, {"lastname": "Oak"})
    row = client.records.retrieve("contact", row_id, select=["fullname"])
    assert row is not None
    assert row["fullname"] == "Ann Oak"
    client.records.delete("contact", row_id)
    assert client.records.retrieve("contact", row_id) is None


def test_rows_are_updated_in_bulk_with_one_change_or_one_each(client: DataverseClient, contacts: list[str]) -> None:
    client.records.update("contact", contacts[:2], {"jobtitle": "Doctor"})
    client.records.update("contact", contacts[2:4], [{"jobtitle": "A"}, {"jobtitle": "B"}])
    rows = [client.records.retrieve("contact", row_id, select=["jobtitle"]) for row_id in contacts]
    assert [row and row["jobtitle"] for row in rows] == ["Doctor", "Doctor", "A", "B", "nurse"]


def test_lists_are_paged_filtered_and_ordered(client: DataverseClient, contacts: list[str]) -> None:
    pages = list(client.records.list_pages("contact", select=["lastname"], orderby=["lastname desc"], page_size=2))
    assert [len(page) for page in pages] == [2, 2, 1]
    found = client.records.list("contact", filter="startswith(lastname,'ash') and lastname ne 'Ash1'", top=3)
    assert len(list(found)) == 3
    condition = col("contactid").in_(contacts[:2]) & (col("lastname") == "Ash0")
    assert [row["contactid"] for row in client.records.list("contact", filter=condition)] == contacts[:1]


def test_fetchxml_is_filtered_and_paged(client: DataverseClient, contacts: list[str]) -> None:
    begins = "<filter><condition attribute='lastname' operator='begins-with' value='ash'/></filter>"
    text = f"<fetch count='2'><entity name='contact'><attribute name='lastname'/>{begins}</entity></fetch>"
    assert sorted(row["contactid"] for row in client.query.fetchxml(text).execute()) == sorted(contacts)
    assert [len(page) for page in client.query.fetchxml(text).execute_pages()] == [2, 2, 1]


def test_rows_are_upserted_by_alternate_key(client: DataverseClient) -> None:
    client.tables.create_alternate_key("account", "new_number", ["accountnumber"])
    items = [UpsertItem({"accountnumber": n}, {"name": f"name {n}"}) for n in ("A1", "A2")]
    client.records.upsert("account", items[:1])
    client.records.upsert("account", items)
    found = client.records.list("account", select=["name"], orderby=["accountnumber"])
    assert [row["name"] for row in found] == ["name A1", "name A2"]


def test_sql_is_answered_by_a_clear_501(client: DataverseClient) -> None:
    with pytest.raises(HttpError) as refused:
        client.query.sql("SELECT name FROM account")
    assert refused.value.status_code == 501
    assert "SQL queries" in str(refused.value)


def test_a_batch_with_a_change_set_is_run(client: DataverseClient) -> None:
    batch = client.batch.new()
    with batch.changeset() as change_set:
        reference = change_set.records.create("contact", {"lastname": "Elm"})
        change_set.records.update("contact", reference, {"jobtitle": "Nurse"})
    batch.records.list("contact", filter="lastname eq 'elm'", select=["jobtitle"])
    result = batch.execute()
    assert [answer.status_code for answer in result.responses] == [204, 204, 200]
    assert result.responses[-1].data["value"][0]["jobtitle"] == "Nurse"
    client.records.delete("contact", result.entity_ids[0])


def test_a_failing_part_of_a_batch_is_reported(client: DataverseClient) -> None:
    batch = client.batch.new()
    batch.records.retrieve("contact", "00000000-0000-4000-8000-000000000000")
    batch.tables.get("contact")
    result = batch.execute(continue_on_error=True)
    assert [answer.status_code for answer in result.responses] == [404, 200]
    assert result.responses[0].error_code == "0x80040217"


def test_tables_are_described_listed_made_grown_and_dropped(client: DataverseClient) -> None:
    described = client.tables.get("contact")
    assert described is not None
    assert described.entity_set_name == "contacts"
    made = client.tables.create("new_Member", {"new_Tier": "string", "new_Points": "int", "new_Since": "datetime"})
    assert made.entity_set_name == "new_members"
    client.tables.add_columns("new_Member", {"new_Active": "bool"})
    row_id = client.records.create("new_Member", {"new_Tier": "gold", "new_Points": 5, "new_Active": True})
    row = client.records.retrieve("new_Member", row_id)
    assert row is not None
    assert (row["new_tier"], row["new_points"], row["new_active"]) == ("gold", 5, True)
    client.tables.remove_columns("new_Member", ["new_Active"])
    assert "new_member" in {table["LogicalName"] for table in client.tables.list()}
    client.tables.delete("new_Member")
    assert client.tables.get("new_Member") is None


def test_a_lookup_is_created_bound_listed_and_removed(client: DataverseClient, contacts: list[str]) -> None:
    made = client.tables.create_lookup_field(
        referencing_table="contact", lookup_field_name="new_Account", referenced_table="account"
    )
    account = client.records.create("account", {"name": "Contoso"})
    client.records.update("contact", contacts[:2], {"new_Account@odata.bind": f"/accounts({account})"})
    row = client.records.retrieve("contact", contacts[0], expand=["new_Account"])
    assert row is not None
    assert row["new_Account"]["name"] == "Contoso"
    names = {relation["SchemaName"] for relation in client.tables.list_table_relationships("contact")}
    assert made.relationship_schema_name in names
    found = client.tables.get_relationship(made.relationship_schema_name)
    assert found is not None
    client.tables.delete_relationship(str(found.relationship_id))
    assert client.tables.get_relationship(made.relationship_schema_name) is None


def test_rows_are_deleted_in_bulk(client: DataverseClient) -> None:
    ids = client.records.create("lead", [{"subject": "a"}, {"subject": "b"}])
    assert client.records.delete("lead", ids) is not None
    assert list(client.records.list("lead")) == []
