"""Every state of the task as a person meets it: what it says, and that everybody can read it."""

from collections.abc import Callable

import pytest
from playwright.async_api import Page, expect

from linker.core.model import Run, Status

from . import scenes
from .stage import Stage
from .visit import Visit

type Scene = Callable[[], Run]

STATES = [
    pytest.param(scenes.not_started, ["Not started", "Set the output of"], id="first run, something is missing"),
    pytest.param(scenes.queued, ["Queued", "Waiting until mapping and profiles have rested"], id="settling"),
    pytest.param(scenes.refreshing, ["Refreshing", "1,890"], id="refreshing"),
    pytest.param(scenes.paused, ["Refreshing", "by Dataverse until"], id="paused by Dataverse"),
    pytest.param(scenes.retrying, ["Failed (retrying)", "Dataverse does not answer"], id="retrying"),
    pytest.param(scenes.successful, ["Successful", "1,204"], id="successful"),
    pytest.param(scenes.with_warnings, ["Completed with warnings", "looks renamed", "Contoso.Scoring"], id="with warnings"),
    pytest.param(scenes.failed, ["Failed (permanent)", "lacks privilege prvWriteLead"], id="failed"),
    pytest.param(scenes.skipped, ["Skipped", "Backstamping job skipped", "individual customers (B2C) only"], id="skipped"),
    pytest.param(scenes.canceled, ["Canceled", "the next run continues from there"], id="canceled"),
    pytest.param(scenes.held, ["The first link of this table is held", "48,120 system jobs"], id="first link held"),
    pytest.param(scenes.dry, ["dry run", "nothing was written"], id="dry run"),
]  # fmt: skip


@pytest.mark.parametrize(("scene", "words"), STATES)
async def test_a_run_in_each_state_says_what_is_the_matter(
    stage: Stage, visit: Visit, axe: str, scene: Scene, words: list[str]
) -> None:
    run = scene()
    await stage.play(run)
    page = await visit.open(f"?run={run.id}")
    for word in words:
        await expect(page.locator("main")).to_contain_text(word)
    await expect(task(page)).to_contain_text(Status.NOT_STARTED if run.dry_run else run.status)
    await visit.is_well_made(axe)


async def test_a_dry_run_never_takes_over_the_task_or_the_last_run(stage: Stage, visit: Visit) -> None:
    real, dry = scenes.failed(), scenes.dry()
    await stage.play(real, dry)
    page = await visit.open()
    await expect(task(page)).to_contain_text(Status.FAILED)
    await expect(task(page)).not_to_contain_text("904")
    await expect(page.locator("#last-run p").first).to_contain_text(Status.FAILED)
    await expect(page.locator("#last-run")).to_contain_text("would link 904 and unlink 30 of 360,600 rows")
    status = await (await page.context.request.get(f"{visit.app}/api/status")).json()
    assert (status["status"], status["run"]["id"], status["dryRun"]["id"]) == (Status.FAILED, real.id, dry.id)


async def test_before_the_first_run_the_page_says_so(stage: Stage, visit: Visit, axe: str) -> None:
    page = await visit.open()
    await expect(task(page)).to_contain_text(Status.NOT_STARTED)
    await expect(page.get_by_text("No run has ended yet")).to_be_visible()
    await visit.is_well_made(axe)


@pytest.mark.parametrize("path", ["/history", "/timeline", "/rows", "/actions"])
async def test_before_the_first_run_every_page_says_what_it_will_show(
    stage: Stage, visit: Visit, axe: str, path: str
) -> None:
    await visit.open(path)
    await visit.is_well_made(axe)


def task(page: Page):
    """The line of the task itself."""
    return page.get_by_role("row", name="CustomerId Backstamping Hydration")
