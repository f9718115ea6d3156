"""What leaves for Application Insights names no person."""

import logging

import pytest

from linker.adapters import telemetry

GUID = "0f8fad5b-d9cb-469f-a165-70867728950e"


@pytest.mark.parametrize(
    ("path", "target"),
    [
        (f"contacts({GUID})", "contacts"),
        ("contacts?$select=contactid", "contacts"),
        ("$batch", "$batch"),
        ("contacts/Microsoft.Dynamics.CRM.UpdateMultiple", "contacts"),
        ("https://contoso.crm4.dynamics.com/api/data/v9.2/contacts?$skiptoken=x", "contacts"),
    ],
)
def test_a_request_is_named_by_what_it_addresses(path: str, target: str) -> None:
    assert telemetry.target_of(path) == target


@pytest.mark.usefixtures("app_log")
def test_keys_are_written_out_at_level_debug_only(caplog: pytest.LogCaptureFixture) -> None:
    log = logging.getLogger("linker.test")
    with caplog.at_level(logging.DEBUG, logger=telemetry.LOGGER):
        log.debug("row %s", GUID)
        log.info("row %s", GUID)
    assert [GUID in message for message in caplog.messages] == [True, False]
