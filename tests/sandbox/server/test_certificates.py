import asyncio
import ssl
from pathlib import Path

import pytest

from sandbox.server.certificates import ensure_certificates


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
async def test_a_client_that_trusts_the_ca_connects(host: str, tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path)
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(files.certificate, files.key)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=server_side)
    port = server.sockets[0].getsockname()[1]
    trusting = ssl.create_default_context(cafile=files.ca)  # verifies strictly, as Python 3.13 does by default
    async with server:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trusting, server_hostname=host)
        writer.close()
        await writer.wait_closed()


def test_certificates_are_made_once(tmp_path: Path) -> None:
    before = ensure_certificates(tmp_path).certificate.read_bytes()
    assert ensure_certificates(tmp_path).certificate.read_bytes() == before


def test_a_missing_file_makes_all_of_them_again(tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path)
    before = files.ca.read_bytes()
    files.key.unlink()
    assert ensure_certificates(tmp_path).ca.read_bytes() != before


def test_the_key_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    assert ensure_certificates(tmp_path / "new").key.stat().st_mode & 0o077 == 0
