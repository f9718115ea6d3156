"""Reads of a step that asks many small questions: they wait out pauses, and those of the same moment share one `$batch`.

Such a step would otherwise start again with its first question after each pause, and never reach the last where a table
throttles every few requests. The wait is bounded, and writes are never repeated here.

Most of its questions do not depend on each other. Its code asks them with `asyncio.gather`, each as if it were alone. A part
that Dataverse refuses is asked again by itself, so errors, waits, and repetitions are the same as without a batch.

A run can do without some of these reads (`ask_optional`): one that fails alone, hangs, or is refused is a reason in the report
and ends nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from linker.adapters.dataverse import web_api
from linker.adapters.dataverse.client import Dataverse
from linker.adapters.dataverse.http import API, Connection, Meter
from linker.adapters.write_limiter import answer_limit, extend_limit
from linker.core.errors import DataverseError, LinkerError, TableBusyError, ThrottledError, TransientError

OK = 200
MAX_PARTS = 20  # Microsoft advises small batches of reads: Dataverse executes the parts of one after the other


@dataclass(frozen=True, slots=True)
class _Question:
    path: str
    prefer: str
    answer: asyncio.Future[Any]


class SharedReads(Dataverse):
    """A client whose simultaneous reads share requests. Pages that follow, and strong reads of metadata, go alone."""

    def __init__(
        self, connection: Connection, meter: Meter | None = None, write_headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(connection, meter, write_headers)
        self._waiting: list[_Question] = []
        self._sending = set[asyncio.Task[None]]()

    async def get(self, path: str, *, prefer: str = "", strong: bool = False) -> Any:
        """Return the JSON at a path; see Dataverse.get."""
        if strong or "://" in path:
            return await super().get(path, prefer=prefer, strong=strong)
        question = _Question(path, prefer, asyncio.get_running_loop().create_future())
        self._waiting.append(question)
        if len(self._waiting) == 1:
            task = asyncio.ensure_future(self._send_soon())
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        try:
            return await question.answer
        finally:
            question.answer.cancel()

    async def _send_soon(self) -> None:
        """Send what is waiting as soon as nothing was added for a moment."""
        known = 0
        while known != len(self._waiting):
            known = len(self._waiting)
            await asyncio.sleep(0)
        questions, self._waiting = self._waiting, []
        for at in range(0, len(questions), MAX_PARTS):
            await self._ask(questions[at : at + MAX_PARTS])

    async def _ask(self, questions: list[_Question]) -> None:
        """Answer questions. An error is raised where the question was asked: nothing awaits this task."""
        try:
            alone = questions if len(questions) == 1 else await self._ask_together(questions)
        except BaseException as error:
            for question in questions:
                _fail(question, error)
        else:
            await asyncio.gather(*map(self._ask_alone, alone))

    async def _ask_together(self, questions: list[_Question]) -> list[_Question]:
        """Answer questions from one batch; return those that it did not answer."""
        extra = self.connection.extra_headers
        parts = [
            web_api.Part("GET", API + one.path, headers={**extra, **({"Prefer": one.prefer} if one.prefer else {})})
            for one in questions
        ]
        try:
            answers = await self._exchange(parts, reads=True)
        except DataverseError:  # whatever it has against a batch
            return questions
        if any(answer.status == OK for answer in answers):
            self.connection.note_answer()
        for question, answer in zip(questions, answers, strict=True):
            if answer.status == OK and not question.answer.done():
                question.answer.set_result(answer.body)
        return [one for one, answer in zip(questions, answers, strict=True) if answer.status != OK]

    async def _ask_alone(self, question: _Question) -> None:
        if question.answer.done():
            return
        try:
            found = await super().get(question.path, prefer=question.prefer)
        except BaseException as error:
            _fail(question, error)
        else:
            if not question.answer.done():
                question.answer.set_result(found)


def _fail(question: _Question, error: BaseException) -> None:
    if not question.answer.done():
        question.answer.set_exception(error)


PATIENCE_S = 120.0  # from the first pause of a step on


@dataclass(slots=True)
class Patience:
    """How long a step waits for pauses, in seconds from its first one. `renews`: from the first one since an answer, for a step
    whose reads are as many as its rows, and that runs behind no page.
    """

    seconds: float = PATIENCE_S
    renews: bool = False
    until: float | None = None

    async def wait(self, error: ThrottledError | TableBusyError) -> None:
        """Wait as long as Dataverse asked. Raises the error when that is longer than what is left."""
        now = time.monotonic()
        self.until = now + self.seconds if self.until is None else self.until
        if now + error.wait_s > self.until:
            raise error
        extend_limit(error.wait_s)
        await asyncio.sleep(error.wait_s)


@dataclass(frozen=True, slots=True)
class PatientConnection(Connection):
    """A connection of one step whose reads are repeated after a pause."""

    patience: Patience = field(default_factory=Patience)

    async def pause(self, error: ThrottledError | TableBusyError, waited: int) -> None:  # noqa: ARG002 - patience decides
        """Wait as long as Dataverse asked, however often. Raises the error when patience does not last that long."""
        await self.patience.wait(error)

    def note_answer(self) -> None:
        """Let the patience begin again if it does, unless the question is one that the step can do without."""
        if self.patience.renews and answer_limit.get() is None:
            self.patience.until = None


def patient(connection: Connection, seconds: float = PATIENCE_S, *, renews: bool = False) -> PatientConnection:
    """Return the same way to Dataverse for a step that waits out pauses; see Patience."""
    return PatientConnection(
        connection.url,
        connection.client,
        connection.tokens,
        connection.write_timeout_s,
        connection.extra_headers,
        connection.limiter,
        connection.optional_room,
        Patience(seconds, renews),
    )


# ---- reads that a run can do without ----

OPTIONAL_S = 20.0  # from the question to its last answer; a read that a run needs may take READ_LIMIT_S


@dataclass(frozen=True, slots=True)
class Unread:
    """Why an optional question has no answer. `refusal` is Dataverse's own, None when it gave none."""

    reason: str
    refusal: DataverseError | None = None


async def ask_optional[T](
    dataverse: Dataverse, ask: Callable[[Dataverse], Awaitable[T]], seconds: float = OPTIONAL_S
) -> T | Unread:
    """Return an answer, or why there is none. The question shares no request with others, so that they do not wait for it.

    See answer_or_reason.
    """
    alone = Dataverse(dataverse.connection, dataverse.meter)
    return await answer_or_reason(alone, lambda: ask(alone), seconds)


async def answer_or_reason[T](
    dataverse: Dataverse, ask: Callable[[], Awaitable[T]], seconds: float = OPTIONAL_S
) -> T | Unread:
    """Return an answer, or why there is none after `seconds` at most, pauses that Dataverse asks for not counted.

    When Dataverse answers nothing else either, it is away: TransientError is raised, and the step tries again later. Raises
    ThrottledError as well.
    """
    try:
        async with dataverse.connection.optional_room:
            return await _within(seconds, ask)
    except ThrottledError:
        raise
    except DataverseError as error:
        return Unread(str(error)[:300], error)
    except (LinkerError, TimeoutError) as error:
        found = Unread(str(error)[:300] or f"Dataverse did not answer within {seconds:g} s.")
    try:
        await _within(seconds, dataverse.user)
    except TimeoutError:
        raise TransientError(found.reason) from None
    return found


async def _within[T](seconds: float, ask: Callable[[], Awaitable[T]]) -> T:
    async with asyncio.timeout(seconds) as limit:
        outer = answer_limit.set(limit)
        try:
            return await ask()
        finally:
            answer_limit.reset(outer)
