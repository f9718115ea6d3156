"""The language of error texts is a switch: codes, ids and names stay, words do not."""

import pytest

from sandbox.runtime import Environment
from sandbox.switches.config import SandboxConfig
from tests.sandbox.webapi.conftest import Client
from tests.sandbox.webapi.steps import NONE, error, message

AS_LINKER = {"x-user": "linker"}


async def texts(api: Client) -> list[tuple[tuple[int, str], str]]:
    answers = [
        await api.get(f"contacts({NONE})"),
        await api.post("contacts", json={}, headers=AS_LINKER),
        await api.get("contacts?$filter=nothing eq 1"),
    ]
    return [(error(answer), message(answer)) for answer in answers]


@pytest.mark.parametrize("language", ["de", "none"])
async def test_codes_stay_and_words_go(api: Client, environment: Environment, language: str) -> None:
    english = await texts(api)
    environment.configure(SandboxConfig(error_language=language))  # type: ignore[arg-type]
    other = await texts(api)
    assert [code for code, _ in other] == [code for code, _ in english]
    assert not {text for _, text in other} & {text for _, text in english}
    row, privilege, column = (text for _, text in other)
    assert (NONE in row, "prvCreateContact" in privilege, "'nothing'" in column) == (language == "de",) * 3


async def test_parts_of_a_batch_speak_it_too(api: Client, environment: Environment) -> None:
    environment.configure(SandboxConfig(error_language="de"))
    body = f"--b\r\nContent-Type: application/http\r\n\r\nGET /api/data/v9.2/contacts({NONE}) HTTP/1.1\r\n\r\n\r\n--b--\r\n"
    answer = await api.post("$batch", content=body, headers={"Content-Type": "multipart/mixed;boundary=b"})
    assert "Der Datensatz ist nicht vorhanden" in answer.text
