"""What docs/security.md says of stored hashes, logs and payloads beside its table of threats."""

from __future__ import annotations

import hashlib
import os

import pytest

from linker import bootstrap
from linker.core.errors import without_secrets
from linker.core.linking.hash_blocks import UNCONFIRMED, hash_link
from linker.core.linking.shards import Claim, hash_wish
from linker.core.model import Link

ROW = "00000001-0000-4000-8000-000000000001"
SALT = b"s" * 16


def test_payloads_import_no_class_that_they_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_FUNCTIONS_DURABLE_STRICT_TYPING", "false")  # set, so that it is as before after the test
    monkeypatch.setenv("LINKER_DATAVERSE_URL", "https://org.crm4.dynamics.com")
    monkeypatch.setenv("LINKER_STORAGE", "UseDevelopmentStorage=true")
    bootstrap.check_environment()
    assert os.environ["AZURE_FUNCTIONS_DURABLE_STRICT_TYPING"] == "true"


def test_the_id_of_a_row_is_found_in_logs_by_the_command_that_the_page_gives() -> None:
    """`printf <id> | sha256sum | cut -c1-12`."""
    assert without_secrets(f"row {ROW.upper()}") == f"row #{hashlib.sha256(ROW.encode()).hexdigest()[:12]}"


def test_a_wish_hash_has_64_bits_and_a_link_hash_63() -> None:
    keys = [number.to_bytes(16) for number in range(2_000)]
    wishes = [hash_wish(key, Claim("customer"), SALT, names_profile=False) for key in keys]
    links = [hash_link(key, Link("profile"), SALT) for key in keys]
    assert [max(hashes).bit_length() for hashes in (wishes, links)] == [64, 64]
    assert {hashed & UNCONFIRMED for hashed in wishes} == {0, 1}
    assert {hashed & UNCONFIRMED for hashed in links} == {0}
