"""Figures in prose are those of the code."""

from itertools import accumulate
from pathlib import Path

import pytest

from bench import documents
from linker.adapters.dataverse.http import LOCKED_WAIT_S
from linker.adapters.dataverse.insight_reader import MAX_TABLES
from linker.core.runs.run_lock import MAX_INTERRUPTIONS
from linker.durable.activities.touch_profiles import REQUESTS_A_MINUTE
from linker.durable.orchestrators.run import MAX_PREPARE_WAIT_S, PREPARE_TRIES
from linker.durable.staged import CONTINUE_S
from linker.durable.writes import FAULT_WAITS_S, PATCHES
from linker.services.fact_gathering import KEPT_S, SAMPLE
from linker.services.source_tables import MAX_OTHERS, OTHERS_S, REMEMBERED_S
from linker.services.write_permits import VIRTUAL_ROWS
from linker.settings import Settings
from sandbox.data.generator import Sizes
from sandbox.database.filter_compiler import MAX_CONDITIONS
from sandbox.database.select import COUNT_LIMIT
from sandbox.query.syntax import MAX_LINKS
from sandbox.webapi.operations import virtual_tables
from sandbox.webapi.operations.aggregating import AGGREGATE_ROWS
from sandbox.webapi.operations.automation import MAX_BYPASSED_STEPS
from sandbox.webapi.operations.elastic_tables import DEFAULT_PAGE
from sandbox.webapi.protocol.messages import MAX_URL, MAX_URL_IN_BATCH
from sandbox.webapi.protocol.multipart import MAX_OPERATIONS
from tests.live.probes.links import MAX_ROWS
from tests.live.proof import ROWS
from tests.whole_runs.test_request_counts import QUIET_DELTA

DOCS = Path(__file__).parents[2] / "docs"
SETTINGS = {name: field.default for name, field in Settings.model_fields.items()}
MINUTE_S, DAY_S = 60, 86_400
WORDS = {1: "once", 3: "three", 4: "four", 7: "seven"}
PREPARE_WAITS_S = accumulate(
    range(PREPARE_TRIES - 2), lambda wait_s, _: min(2 * wait_s, MAX_PREPARE_WAIT_S), initial=LOCKED_WAIT_S
)
SPANS = {MINUTE_S: "a minute", DAY_S: "a day"}
MILLION_TOUCHES_H = 1_000_000 / REQUESTS_A_MINUTE / MINUTE_S


@pytest.mark.parametrize(
    ("page", "sentence"),
    [
        ("dev/at-least-once.md", f"sends the same values again for {sum(FAULT_WAITS_S):.0f} seconds"),
        ("dev/at-least-once.md", f"that began less than {WORDS[int(CONTINUE_S / 3_600)]} hours ago"),
        ("dev/at-least-once.md", f"After {WORDS[MAX_INTERRUPTIONS]} interruptions without a newly saved shard"),
        ("requirements.md", f"up to {SAMPLE} sampled keys of each source"),
        ("requirements.md", f"at most {MAX_OTHERS} tables for a source, within {SPANS[int(OTHERS_S)]}"),
        ("requirements.md", f"What a run found is remembered for {SPANS[int(REMEMBERED_S)]}"),
        ("requirements.md", f"what it said in the last {WORDS[int(KEPT_S / DAY_S)]} days counts"),
        ("requirements.md", f"than one query returns ({VIRTUAL_ROWS:,})"),
        ("requirements.md", f"for up to {sum(PREPARE_WAITS_S) / MINUTE_S:.0f} minutes"),
        ("requirements.md", f"with all profiles, {WORDS[int(SETTINGS['orphan_hours'] / 24)]} a day"),
        ("profile-touch.md", f"`LINKER_TOUCH_MAX_PROFILES` ({SETTINGS['touch_max_profiles']:,})"),
        ("profile-touch.md", f"Writes go in batches of {PATCHES}"),
        ("profile-touch.md", f"One million profiles would take about {MILLION_TOUCHES_H:.0f} hours"),
        ("insights.md", f"(at most {MAX_TABLES} tables)"),
        ("scale.md", f"sends about {QUIET_DELTA} requests for two tables"),
        ("dev/live.md", f"up to {MAX_ROWS:,} linked rows"),
        ("dev/live.md", f"some {ROWS // 1_000 * 1_000:,} rows in them (`--rows`)"),
        ("dev/sandbox.md", f"{MAX_CONDITIONS} conditions (`0x8004430C`)"),
        ("dev/sandbox.md", f"{MAX_URL:,} characters of URL ({MAX_URL_IN_BATCH:,} in a batch)"),
        ("dev/sandbox.md", f"nested, at most {MAX_LINKS} (`0x8004430D`)"),
        ("dev/sandbox.md", f"up to {AGGREGATE_ROWS:,} rows (`0x8004E023`)"),
        ("dev/sandbox.md", f"Counts\n  end at {COUNT_LIMIT:,}"),
        ("dev/sandbox.md", f"{MAX_OPERATIONS:,} operations, stop at the first error"),
        ("dev/sandbox.md", f"`...StepIds` (at most {MAX_BYPASSED_STEPS})"),
        ("dev/sandbox.md", f"pages of {DEFAULT_PAGE} rows"),
        ("dev/sandbox.md", f"More than {virtual_tables.VIRTUAL_ROWS:,} rows are an error"),
        ("dev/sandbox-control.md", f"({Sizes().contacts:,}, {Sizes().leads:,}, {Sizes().members:,})"),
    ],
)
def test_a_figure_in_prose_is_that_of_the_code(page: str, sentence: str) -> None:
    assert sentence in (DOCS / page).read_text(encoding="utf-8")


def test_the_arithmetic_of_scale_is_that_of_the_code() -> None:
    assert (DOCS / "scale.md").read_text(encoding="utf-8") == documents.scale()
