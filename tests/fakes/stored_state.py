"""What an environment left in a Table Storage that many environments use, one after the other.

State is kept by host and port, and the operating system gives a port again after a while: without this, an environment
can meet the state of an earlier one.
"""

from __future__ import annotations

from azure.data.tables import TableClient, TableServiceClient

from linker.bootstrap import environment_key


def forget_environment(connection_string: str, dataverse_url: str) -> int:
    """Delete all state of the environment at this address; returns how many entities there were."""
    key = environment_key(dataverse_url)
    query = "PartitionKey eq @key or PartitionKey ge @first and PartitionKey lt @end"
    bounds = {"key": key, "first": f"{key}-", "end": f"{key}."}  # "." comes after "-": every partition `key-...`
    deleted = 0
    with TableServiceClient.from_connection_string(connection_string) as service:
        for table in service.list_tables():
            deleted += _delete(service.get_table_client(table.name), query, bounds)
    return deleted


def _delete(table: TableClient, query: str, bounds: dict[str, str]) -> int:
    found = table.query_entities(query, parameters=bounds, select=["PartitionKey", "RowKey"])
    entities = list(found)
    for entity in entities:
        table.delete_entity(entity)
    return len(entities)
