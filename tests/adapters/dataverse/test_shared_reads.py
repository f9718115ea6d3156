"""Simultaneous reads share a request; whatever goes wrong comes out as if each were alone."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from linker.adapters.dataverse import Connection, SharedReads
from linker.adapters.dataverse.patient_reads import MAX_PARTS
from linker.core.errors import DataverseError, ThrottledError, TransientError
from tests.fakes.dataverse import FakeDataverse
from tests.fakes.requests import URL, Refusal, Request
from tests.fakes.world import DiedError, StaticTokens


class Service:
    """A fake Dataverse that remembers the paths of requests, and refuses parts or whole batches."""

    def __init__(self) -> None:
        self.fake, self.sent = FakeDataverse(), list[str]()
        self.fake.profile("c1", f"{1:032x}")
        self.refused: dict[str, BaseException] = {}  # by path of a read
        self.batch: httpx.Response | None = None  # the answer to every batch
        self._route = self.fake._route
        self.fake._route = self._refuse  # type: ignore[method-assign]  # hooks see the first part of a batch alone
        self.reads = SharedReads(
            Connection(URL, httpx.AsyncClient(transport=httpx.MockTransport(self)), StaticTokens())
        )

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.rpartition("/v9.2/")[2]
        self.sent.append(path)
        if path == "$batch" and self.batch is not None:
            return self.batch
        return await self.fake(request)

    def _refuse(self, asked: Request) -> tuple[int, Any]:
        if asked.path in self.refused:
            raise self.refused[asked.path]
        return self._route(asked)

    async def ask(self, *paths: str) -> list[Any]:
        return await asyncio.gather(*map(self.reads.get, paths), return_exceptions=True)


WHO, PROFILES, MAPPING = "WhoAmI", "msdynci_customerprofiles", "msdynci_alternatekeys"


async def test_simultaneous_reads_are_one_request_with_answers_in_their_order() -> None:
    service = Service()
    who, profiles, mapping = await service.ask(WHO, PROFILES, MAPPING)
    assert service.sent == ["$batch"]
    assert ("UserId" in who, len(profiles["value"]), mapping["value"]) == (True, 1, [])


async def test_one_read_goes_as_it_is() -> None:
    service = Service()
    await service.reads.get(WHO)
    await service.reads.get(WHO)
    assert service.sent == [WHO, WHO]


async def test_strong_reads_and_pages_that_follow_go_alone() -> None:
    service = Service()
    await asyncio.gather(service.reads.get(WHO, strong=True), service.reads.get(f"{URL}/api/data/v9.2/{WHO}"))
    assert service.sent == [WHO, WHO]


async def test_many_reads_are_several_batches() -> None:
    service = Service()
    found = await service.ask(*[WHO] * (2 * MAX_PARTS + 1))
    assert service.sent == ["$batch", "$batch", WHO]
    assert all("UserId" in one for one in found)


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        pytest.param(Refusal(403, "0x80040220", "prvRead is missing"), DataverseError, id="refused"),
        pytest.param(Refusal(404, "0x80060888", "no such table"), DataverseError, id="not there"),
        pytest.param(Refusal(503, "", "busy"), TransientError, id="out of order"),
        pytest.param(Refusal(429, "0x80072322", "slow down", "7"), ThrottledError, id="throttled"),
    ],
)
async def test_a_part_that_is_refused_raises_as_if_it_were_asked_alone(refusal: Refusal, kind: type[Exception]) -> None:
    service = Service()
    service.refused[PROFILES] = refusal
    who, error = await service.ask(WHO, PROFILES)
    assert service.sent == ["$batch", PROFILES]
    assert ("UserId" in who, type(error)) == (True, kind)
    if isinstance(error, ThrottledError):
        assert error.wait_s == 7  # the wait that Dataverse asked for, which a part of a batch does not show


async def test_where_dataverse_takes_no_batches_each_read_goes_alone() -> None:
    service = Service()
    service.batch = httpx.Response(400, json={"error": {"code": "0x0", "message": "no batches"}})
    found = await service.ask(WHO, PROFILES)
    assert service.sent == ["$batch", WHO, PROFILES]
    assert "UserId" in found[0]


@pytest.mark.parametrize(
    "answer", [httpx.Response(503), httpx.Response(200, text="damaged")], ids=["unavailable", "damaged"]
)
async def test_a_batch_that_fails_for_a_passing_reason_raises_that_everywhere(answer: httpx.Response) -> None:
    service = Service()
    service.batch = answer
    assert [isinstance(error, TransientError) for error in await service.ask(WHO, PROFILES)] == [True, True]


async def test_what_ends_a_process_ends_every_question() -> None:
    service = Service()
    service.refused[WHO] = DiedError()
    found = await asyncio.gather(service.reads.get(WHO), service.reads.get(PROFILES), return_exceptions=True)
    assert [type(one) for one in found] == [DiedError, DiedError]


async def test_a_question_that_is_not_awaited_any_more_disturbs_no_other() -> None:
    service = Service()
    given_up = asyncio.ensure_future(service.reads.get(PROFILES))
    kept = asyncio.ensure_future(service.reads.get(WHO))
    await asyncio.sleep(0)
    given_up.cancel()
    assert "UserId" in await kept
    assert given_up.cancelled()
