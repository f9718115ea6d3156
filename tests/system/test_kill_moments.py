"""The host is killed at ten seeded moments of a run: each time the next host finishes the work and nothing is wrong."""

import random

from .conftest import MakeWorld
from .world import World, until

SIZES = {"contact": 120, "lead": 80, "new_member": 40}
LOADED = [text for name, rows in SIZES.items() for text in (f"--{name.removeprefix('new_')}s", str(rows))]
IMPATIENT = {
    "LINKER_LEASE_SECONDS": "5",
    "LINKER_ATTEMPT_SECONDS": "5",
    "LINKER_WRITE_TIMEOUT_SECONDS": "2",
    "LINKER_WATCHDOG_SCHEDULE": "* * * * * *",
    "LINKER_TOUCH_PROFILES": "false",  # every write counted here is a link
}
MOMENTS = 10
ATTEMPTS = 20


def requests(world: World) -> int:
    """Requests to Dataverse since the counters were reset."""
    return sum(world.sandbox.counters()["requests"].values())


def test_ten_hosts_that_are_killed_in_the_middle_leave_nothing_undone_and_nothing_wrong(make: MakeWorld) -> None:
    world = make(*LOADED, **IMPATIENT)
    assert served(world, world.app.publish(world.sandbox.last_job())["id"]) == "Successful"
    whole = min(whole_run(world, seed) for seed in (0, 1))  # the first one also asks what is read once a day
    chance = random.Random(20261123)
    last = whole * 9 // 10  # a run may need a few requests less than the one that was counted
    for moment in sorted(chance.randrange(1, last) for _ in range(MOMENTS)):
        done = world.unify(move=0.3, seed=moment)
        run = world.app.publish(done["jobId"])["id"]
        until(lambda at=moment, now=run: requests(world) >= at or bool(world.app.run(now)["endedAt"]), bool, 0.005)
        world.kill_host()
        world.start_host()
        assert served(world, run) == "Successful", moment
        assert served(world, world.app.publish(done["jobId"])["id"]) == "Successful"
        assert {table: world.links(table) for table in SIZES} == {table: world.truth(table) for table in SIZES}, moment
        assert world.counted("rowsChanged", *SIZES) == done["moved"], moment


def whole_run(world: World, seed: int) -> int:
    """Requests of a run that moves three rows of ten and that nothing interrupts.

    The leases are short: on a busy machine another run may take a living one over, and requests of both are counted.
    """
    for attempt in range(ATTEMPTS):
        done = world.unify(move=0.3, seed=seed + 2 * attempt)
        ended = world.publish(done["jobId"])
        counted = requests(world)
        if ended["status"] == "Successful":
            return counted
        assert served(world, ended["id"]) == "Successful"
    raise AssertionError(f"each of {ATTEMPTS} runs was interrupted")


def served(world: World, run: str) -> str:
    """How the run ended, or the one that did its work again."""
    ended = world.ended(run)
    while ended["status"] == "Failed (permanent)":
        assert "interrupted" in ended["statusDetail"], ended["statusDetail"]
        # Work that was interrupted three times rests until a run is asked for.
        ended = world.ended(ended["followUp"] or world.app.publish(world.sandbox.last_job()))
    return str(ended["status"])
