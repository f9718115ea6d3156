"""A refusal that concerns more than rows costs a bounded number of requests; rows that are bad are still found one by one."""

from typing import Any

import pytest

from linker.core.model import Counts, Mode, RunRequest, Status, Ticket
from linker.core.runs.activity_values import MAX_REFUSED, ShardOutcome, Trouble
from linker.core.throttling.pace import Pace, shards_in_flight
from linker.durable.isolation import SAMPLE, SUSPICIOUS
from linker.durable.orchestrators.generation import FAULT_PATIENCE
from tests.durable.orchestrators.fake_activities import Activities, context, run
from tests.fakes.requests import Refusal
from tests.fakes.world import World, contact_id

ROWS = 400  # in four batches of one shard
PLUGIN = Refusal(400, "0x80040265", "The plug-in wants a phone number.")


@pytest.fixture
def world() -> World:
    return World()


REFUSALS = {
    "IP firewall": Refusal(403, "0x80095ffe", "The request is blocked by the IP firewall."),
    "disabled user": Refusal(403, "0x80040225", "The user is disabled."),
    "administration mode": Refusal(403, "0x8004A113", "Only administrators may enter."),
    "column security": Refusal(403, "0x8004f507", "No update privilege on a secured column."),
    "storage quota": Refusal(400, "0x80072325", "The storage limit has been met."),
    "storage, by SQL": Refusal(500, "0x80044150", "Generic SQL error. Sql Number: 1105"),
    "privilege": Refusal(403, "0x80040220", "Principal user is missing prvWriteContact privilege"),
    "privilege, other language": Refusal(403, "0x80040220", "Dem Benutzer fehlt prvWriteContact."),
    "no words": Refusal(403, "0x80040220", ""),
    "payload": Refusal(400, "0x80048d19", "Error identified in Payload"),
    "plug-in": PLUGIN,
    "plug-in as 500": Refusal(500, "0x80040265", "Not for you."),
    "an unknown code": Refusal(400, "0x80099999", "The reason is unknown."),
    "no code": Refusal(403, "", "App access control."),
    "SQL timeout of every row": Refusal(500, "0x80044151", "SQL timeout"),
}


def refuses(world: World, refusal: Refusal) -> list[str]:
    """Let every write be refused; return the list of their kinds."""
    asked: list[str] = []

    def hook(request: Any) -> None:
        if request.kind in ("update", "patch"):
            asked.append(request.kind)
            raise refusal

    world.dataverse.hooks.append(hook)
    return asked


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
async def test_a_table_that_is_refused_costs_few_requests_and_gives_one_reason(world: World, refusal: Refusal) -> None:
    world.people(ROWS)
    asked = refuses(world, refusal)
    outcome = await world.link(lanes=4, batch=100)
    assert refusal.text[:40] in outcome.failed
    assert outcome.failed.count(refusal.text) <= 1 or not refusal.text
    assert len(asked) <= 4 * (SUSPICIOUS + SAMPLE)
    assert world.dataverse.written == {}
    assert (await world.block()).header.attempt == ""  # given back


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("IP firewall", "outbound addresses"),
        ("disabled user", "Enable the app's user"),
        ("administration mode", "administration mode. End it"),
        ("column security", "column security profile"),
        ("storage quota", "Free storage"),
    ],
)
async def test_a_refusal_whose_code_is_known_says_what_to_do(world: World, name: str, advice: str) -> None:
    world.people(3)
    refuses(world, REFUSALS[name])
    assert advice in (await world.link()).failed


async def test_rows_of_a_sample_are_reported(world: World) -> None:
    world.people(ROWS)
    refuses(world, PLUGIN)
    await world.link()
    assert {found.code for found in (await world.issues()).values()} == {"PluginRefused"}
    assert len(await world.issues()) == SAMPLE


async def test_a_table_that_is_written_row_by_row_stops_too(world: World) -> None:
    world.contacts.bulk = False
    world.people(ROWS)
    world.dataverse.refuse = {contact_id(number): PLUGIN for number in range(1, ROWS + 1)}
    outcome = await world.link(lanes=2)
    assert PLUGIN.text in outcome.failed
    assert world.dataverse.asked["$batch"] < 50  # of which 4 read the live links in parts


@pytest.mark.parametrize("bad", [range(1, 2), range(1, 60), range(1, 150), range(1, ROWS, 2), range(300, ROWS)])
async def test_rows_that_are_bad_are_found_and_all_others_land(world: World, bad: range) -> None:
    world.people(ROWS)
    world.dataverse.refuse = {contact_id(number): PLUGIN for number in bad}
    outcome = await world.link(lanes=2)
    assert outcome.failed == ""
    assert (outcome.counts.linked, outcome.counts.rejected) == (ROWS - len(bad), len(bad))
    assert (outcome.refused, outcome.refusal) == (0, "")


async def test_rows_that_stay_bad_never_keep_others_from_being_linked(world: World) -> None:
    """Each later run sends the bad rows again, and nothing else of the table has to be written."""
    world.people(200)
    bad = [contact_id(number) for number in range(1, 41)]
    world.dataverse.refuse = dict.fromkeys(bad, PLUGIN)
    assert (await world.link("run0")).counts.rejected == len(bad)
    for number in (1, 2):
        outcome = await world.link(f"run{number}")
        assert (outcome.failed, outcome.counts.rejected, outcome.refused) == ("", len(bad), 0)
    world.dataverse.map(contact_id(100), "c101")
    assert (await world.link("run3")).counts.linked == 1


async def test_bad_rows_that_fill_a_sample_are_left_out_of_the_next_one(world: World) -> None:
    world.people(SAMPLE * 2)
    world.dataverse.refuse = {contact_id(number): PLUGIN for number in range(1, SAMPLE * 2 + 1)}
    for number in (1, 2):
        assert (await world.link(f"run{number}")).failed
    outcome = await world.link("run3")
    assert (outcome.failed, outcome.counts.rejected) == ("", SAMPLE * 2)


async def test_rows_that_were_deleted_do_not_count_as_a_refusal_of_their_table(world: World) -> None:
    world.people(200)
    await world.link("run0")
    for number in range(1, 200):
        world.dataverse.map(contact_id(number), f"c{number + 1}")
        del world.contacts.rows[contact_id(number)]
    outcome = await world.link("run1")
    assert (outcome.failed, outcome.counts.rejected) == ("", 199)


# ---- over several shards ----


def refused_shard(rows: int = 3) -> ShardOutcome:
    return ShardOutcome(Counts(rows_read=rows, rejected=rows), refused=rows, refusal="403 App access control")


def test_few_rows_in_each_of_many_shards_stop_the_table_too() -> None:
    ctx = context(
        shards=200,
        tables=("contact", "lead"),
        link_shard=lambda task: (
            refused_shard() if task["table"] == "contact" else ShardOutcome(Counts(rows_read=1, linked=1))
        ),
    )
    run(ctx)
    ends = {end["table"]: end["totals"] for end in ctx.of("end_table")}
    assert "App access control" in ends["contact"]["failed"]
    assert not ends["contact"]["passing"]
    assert ends["lead"]["failed"] == ""
    asked = [task["table"] for task in ctx.of("link_shard")].count("contact")
    assert asked < 20 + MAX_REFUSED


def test_a_table_of_which_some_rows_land_continues() -> None:
    ctx = context(
        shards=50,
        link_shard=lambda task: refused_shard() if task["number"] % 10 else ShardOutcome(Counts(rows_read=1, linked=1)),
    )
    run(ctx)
    (end,) = ctx.of("end_table")
    assert end["totals"]["failed"] == ""


# ---- faults that pass ----


def faults(ctx: Any) -> tuple[int, dict[str, Any]]:
    run(ctx, Ticket("run1", RunRequest(Mode.INCREMENTAL)))
    (end,) = ctx.of("end_table")
    return len(ctx.of("link_shard")), end["totals"]


def test_while_dataverse_fails_one_shard_at_a_time_tries_and_the_table_ends_as_retrying() -> None:
    ctx = context(shards=200, link_shard=lambda _: ShardOutcome(later_s=5.0, later_reason="503 of a gateway"))
    asked, totals = faults(ctx)
    assert asked <= shards_in_flight(Pace()) + FAULT_PATIENCE  # of 200 shards, each of which may fail 12 times
    assert totals["passing"]
    assert "503 of a gateway" in totals["failed"]
    assert ctx.now_s < 1_800


def test_an_outage_of_a_minute_costs_few_tries_and_every_shard_is_linked() -> None:
    ctx = context(shards=200)

    def link_shard(_: Any) -> ShardOutcome:
        return ShardOutcome(later_s=5.0, later_reason="busy") if ctx.now_s < 60 else ShardOutcome(Counts(linked=1))

    ctx.activities |= Activities(shards=200, link_shard=link_shard).table()
    asked, totals = faults(ctx)
    assert (totals["failed"], totals["pages"]) == ("", 200)
    assert asked < 200 + 40


def test_a_shard_that_fails_alone_does_not_keep_the_others() -> None:
    ctx = context(
        shards=50,
        link_shard=lambda task: (
            ShardOutcome(later_s=5.0, later_reason="poisoned")
            if task["number"] == 7
            else ShardOutcome(Counts(linked=1))
        ),
    )
    _, totals = faults(ctx)
    assert totals["passing"]
    assert totals["counts"]["linked"] == 49


@pytest.mark.parametrize("step", ["report", "renew"])
def test_a_child_whose_step_fails_for_a_passing_reason_ends_the_run_as_retrying(step: str) -> None:
    """Storage is away for minutes while shards are linked."""
    ctx = context(**{step: lambda _: Trouble("Table Storage answered 503.", 5.0)})
    run(ctx)
    (ended,) = ctx.of("end_run")
    if ended["status"] is None:  # the table that was scanned ended as such
        assert ctx.of("end_table")[0]["passing"]
        ended["detail"] = ctx.of("end_table")[0]["failed"]
    else:
        assert ended["status"] == Status.RETRYING
    assert "503" in ended["detail"]


@pytest.mark.parametrize(
    "step", ["begin_run", "settle", "survey", "plan_shards", "report", "renew", "end_table", "end_run"]
)
@pytest.mark.parametrize("outage_s", [40, 150, 300])
def test_every_step_survives_an_outage_of_minutes(step: str, outage_s: int) -> None:
    ctx = context()
    standard = Activities().standard[step]
    first: list[float] = []

    def fails(task: Any) -> object:
        first.append(ctx.now_s)
        return Trouble("503", 5.0) if ctx.now_s < first[0] + outage_s else standard(task)

    ctx.activities |= Activities(**{step: fails}).table()
    assert run(ctx)["status"] == Status.SUCCESSFUL


WORKS_AGAIN_S = {"link_shard": 120.0}  # after the end of an outage; docs/dev/reliability.md has what is found
EVERY_STEP = [
    "begin_run",
    "settle",
    "survey",
    "prepare_table",
    "scan_slice",
    "plan_shards",
    "link_shard",
    "report",
    "renew",
    "end_table",
    "end_run",
]


@pytest.mark.parametrize("step", EVERY_STEP)
@pytest.mark.parametrize("outage_s", [5, 40, 150, 300])
def test_work_continues_soon_after_an_outage_at_few_tries(step: str, outage_s: int) -> None:
    ctx = context()
    standard = Activities().standard.get(step)
    tries: list[float] = []

    def fails(task: Any) -> object:
        tries.append(ctx.now_s)
        if step == "link_shard":
            away = ShardOutcome(later_s=5.0, later_reason="503")
            return away if ctx.now_s < tries[0] + outage_s else ShardOutcome(Counts(linked=1))
        assert standard is not None
        return Trouble("503", 5.0) if ctx.now_s < tries[0] + outage_s else standard(task)

    ctx.activities |= Activities(**{step: fails}).table()
    assert run(ctx)["status"] == Status.SUCCESSFUL
    again_s = next(at_s for at_s in tries if at_s >= tries[0] + outage_s)
    assert again_s - tries[0] - outage_s <= WORKS_AGAIN_S.get(step, 60.0)
    assert len([at_s for at_s in tries if at_s < tries[0] + outage_s]) < 10
