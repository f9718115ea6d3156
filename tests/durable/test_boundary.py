"""What the platform keeps of a function that did not do its work: nothing cleans its histories afterwards."""

import logging
from dataclasses import dataclass

import pytest

from linker.core.errors import ConfigurationError, FaultError, LinkerError, TransientError
from linker.core.runs.activity_values import RunRef
from linker.durable import boundary
from tests.fakes.world import World

WORDS = "Ada Lovelace, ada@contoso.com, 0f8fad5b-d9cb-469f-a165-70867728950e, Bearer abc.def.ghi"
FOREIGN = ("Lovelace", "contoso.com", "0f8fad5b", "abc.def")


@dataclass(frozen=True, slots=True)
class Nothing:
    """The input of an activity of no run."""


def failing(error: Exception) -> object:
    async def work(*given: object) -> RunRef:
        raise error

    return work


async def trouble(error: LinkerError) -> str:
    """Return what an activity answers that fails so."""
    return str((await boundary.run_activity(failing(error), Nothing, World().deps, {}))["trouble"])  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [ConfigurationError, TransientError])
async def test_what_an_activity_answers_holds_no_secret_and_names_no_person_by_key_or_address(kind: type) -> None:
    told = await trouble(kind(WORDS.partition(", ")[2]))
    assert told.startswith("<mail>, #")
    assert not [word for word in FOREIGN if word in told]


async def test_an_unforeseen_error_of_an_activity_leaves_its_name_and_none_of_its_words() -> None:
    with pytest.raises(FaultError, match=r"^work broke off: KeyError\. This is a fault of the app") as raised:
        await boundary.run_activity(failing(KeyError(WORDS)), Nothing, World().deps, {})  # type: ignore[arg-type]
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


async def test_a_tick_that_cannot_do_its_work_says_so_and_ends_well(caplog: pytest.LogCaptureFixture) -> None:
    await boundary.run_tick("poll", failing(TransientError("Storage is busy.")))  # type: ignore[arg-type]
    assert caplog.messages == ["poll started nothing, the next tick tries again: Storage is busy."]


async def test_what_does_not_come_again_fails_for_a_passing_fault_so_that_the_platform_repeats_it() -> None:
    busy = failing(TransientError(f"Storage is busy, {WORDS}."))
    with pytest.raises(
        FaultError, match="on_events started nothing and is to be tried again: Storage is busy"
    ) as raised:
        await boundary.run_tick("on_events", busy, comes_again=False)  # type: ignore[arg-type]
    assert "contoso.com" not in str(raised.value)


async def test_what_does_not_come_again_is_not_repeated_for_what_a_person_must_fix() -> None:
    await boundary.run_tick("on_events", failing(ConfigurationError("No such host.")), comes_again=False)  # type: ignore[arg-type]


async def test_an_unforeseen_error_of_a_tick_is_logged_and_fails_the_function_without_its_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(FaultError, match="poll broke off: KeyError"):
        await boundary.run_tick("poll", failing(KeyError(WORDS)))  # type: ignore[arg-type]
    assert [(one.levelno, one.getMessage()) for one in caplog.records] == [(logging.ERROR, "poll broke off")]
