"""Which automations an update of the lookup column fires, and what that costs (docs/dev/proofs.md G21, G22, D2, D6, D12)."""

from dataclasses import replace

import pytest

from linker.core.permissions.automations import (
    Automation,
    Kind,
    advice,
    describe,
    describe_all,
    estimate,
    find_fired,
    not_bypassed,
)

COLUMN = "msdynci_lookupfield_customerprofile"
STEP = Automation("Sync", Kind.STEP)
FLOW = Automation("Greet", Kind.FLOW, asynchronous=True)
WORKFLOW = Automation("Score", Kind.WORKFLOW, asynchronous=True)
RULE = Automation("Check", Kind.RULE)


@pytest.mark.parametrize(
    ("automation", "columns", "fires"),
    [
        pytest.param(STEP, (), True, id="a step without filtering attributes runs for every update"),
        pytest.param(STEP, ("lastname", COLUMN), True, id="a step that lists the column"),
        pytest.param(STEP, ("lastname",), False, id="a step that lists another column"),
        pytest.param(FLOW, (), True, id="a flow without columns runs for every update"),
        pytest.param(FLOW, (COLUMN,), True, id="a flow that lists the column"),
        pytest.param(FLOW, ("lastname",), False, id="a flow that lists another column"),
        pytest.param(WORKFLOW, (), False, id="a workflow without columns is not started by updates"),
        pytest.param(WORKFLOW, (COLUMN,), True, id="a workflow that lists the column"),
        pytest.param(WORKFLOW, ("lastname",), False, id="a workflow that lists another column"),
        pytest.param(RULE, (), True, id="a business rule has no columns"),
    ],
)
def test_filtering_attributes_decide(automation: Automation, columns: tuple[str, ...], fires: bool) -> None:
    registered = replace(automation, columns=columns)
    assert find_fired([registered]) == ((registered,) if fires else ())


@pytest.mark.parametrize(
    ("automations", "rows_a_request", "executions", "jobs"),
    [
        pytest.param([STEP], 500, 1_200, 0, id="a step on Update runs for each row"),
        pytest.param(
            [replace(STEP, message="UpdateMultiple")],
            500,
            4,
            0,
            id="one on UpdateMultiple for each request, of which the first has one row",
        ),
        pytest.param(
            [replace(STEP, message="UpdateMultiple")], 1, 1_200, 0, id="which has one row without bulk writes"
        ),
        pytest.param(
            [replace(STEP, asynchronous=True), FLOW, WORKFLOW], 500, 0, 3_600, id="the others are system jobs"
        ),
        pytest.param([STEP, FLOW, RULE], 500, 2_400, 1_200, id="both"),
        pytest.param([], 500, 0, 0, id="none"),
    ],
)
def test_the_estimate_counts_executions_and_system_jobs(
    automations: list[Automation], rows_a_request: int, executions: int, jobs: int
) -> None:
    found = estimate(automations, 1_200, rows_a_request=rows_a_request)
    assert (found.rows, found.automations, found.executions, found.jobs) == (1_200, len(automations), executions, jobs)


def test_the_estimate_reads_as_rows_times_automations() -> None:
    cost = estimate([STEP, STEP, FLOW], 2_965, rows_a_request=500)
    assert str(cost) == "2,965 rows x 3 automations = 5,930 executions while writing, 2,965 system jobs"
    assert (
        str(estimate([STEP], 1, rows_a_request=500))
        == "1 row x 1 automation = 1 execution while writing, 0 system jobs"
    )


@pytest.mark.parametrize(
    ("automation", "words"),
    [
        pytest.param(STEP, "filtering attributes without this column", id="the vendor's tip"),
        pytest.param(replace(STEP, columns=(COLUMN,)), f"Take {COLUMN} out of its filtering attributes.", id="listed"),
        pytest.param(FLOW, "'Select columns'", id="flow"),
        pytest.param(
            replace(FLOW, columns=(COLUMN,)), f"Take {COLUMN} out of its trigger's 'Select columns'.", id="flow lists"
        ),
        pytest.param(WORKFLOW, "fields that start it", id="workflow"),
        pytest.param(RULE, "scope", id="business rule"),
    ],
)
def test_each_has_its_advice(automation: Automation, words: str) -> None:
    assert words in advice(automation)


def test_one_is_described_with_its_kind_message_and_way() -> None:
    text = describe(replace(STEP, every_table=True, message="UpdateMultiple"))
    assert text.endswith(
        "Register it for the tables that need it, with filtering attributes: on all tables it has none."
    )
    assert text.startswith("Plug-in step 'Sync' on UpdateMultiple on all tables (synchronous). ")


def test_of_many_the_first_five_are_named() -> None:
    assert describe_all([STEP] * 7).endswith("And 2 more.")
    assert "more" not in describe_all([STEP] * 5)


def test_what_cannot_be_bypassed_stays() -> None:
    assert not_bypassed([STEP, replace(STEP, name="Microsoft's", bypassable=False)]) == (
        replace(STEP, name="Microsoft's", bypassable=False),
    )
