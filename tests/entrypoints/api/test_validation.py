"""What is wrong with a request, in sentences that say where and what, and repeat nothing of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from linker.entrypoints.api.lists import ErrorQuery, RunsQuery
from linker.entrypoints.api.runs import RunBody
from linker.entrypoints.api.tables import ApproveBody
from linker.entrypoints.messages import ProblemError
from linker.entrypoints.operations import parse_body, parse_query


@pytest.mark.parametrize(
    ("kind", "sent", "text"),
    [
        (
            RunBody,
            {"dry": True},
            "The request body has a member that isn't known. Known: mode, dryRun, tables, allowUnl",
        ),
        (RunBody, {"mode": "sideways"}, "'mode' has to be one of 'incremental', 'verify' or 'full'."),
        (RunBody, {"dryRun": "perhaps"}, "'dryRun' has to be true or false."),
        (RunBody, {"tables": "contact"}, "'tables' has to be a list."),
        (RunBody, {"tables": ["lead", "a b"]}, "'tables[1]' has a form that isn't allowed."),
        (RunBody, {"tables": ["t"] * 201}, "'tables' has to have at most 50 entries."),
        (RunBody, {"allowUnlinking": [{"table": "t"}]}, "'allowUnlinking[0].mostRows' is required."),
        (
            RunBody,
            {"allowUnlinking": [{"table": "t", "mostRows": 0}]},
            "'allowUnlinking[0].mostRows' has to be at least 1.",
        ),
        (RunBody, {"allowUnlinking": [{"table": "t", "mostRows": 1, "x": 1}]}, "'allowUnlinking[0]' has a member that"),
        (RunBody, [1], "The request body has to be a JSON object."),
        (RunBody, {"mode": "x", "tables": 1}, "'tables' has to be a list."),
        (ApproveBody, {}, "'digest' is required."),
    ],
    ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict | list) else None,
)
def test_a_body(kind: Any, sent: object, text: str) -> None:
    with pytest.raises(ProblemError) as refused:
        parse_body(kind, json.dumps(sent).encode())
    assert text in refused.value.detail
    assert refused.value.detail.endswith(". Nothing was started.")


@pytest.mark.parametrize(
    ("kind", "query", "text"),
    [
        (RunsQuery, {"top": "0"}, "'top' has to be at least 1."),
        (RunsQuery, {"top": "many"}, "'top' has to be a whole number."),
        (RunsQuery, {"status": "Foo"}, "'status' has to be one of 'Not started', "),
        (RunsQuery, {"since": "yesterday"}, "'since' has to be a time with its offset, such as 2026-11-23T21:00:00Z."),
        (RunsQuery, {"since": "2026-11-23T21:00:00"}, "'since' has to be a time with its offset"),
        (RunsQuery, {"since": "0"}, "'since' isn't allowed: a number isn't a time; write it like"),
        (ErrorQuery, {"format": "xlsx"}, "'format' has to be one of 'json', 'csv' or 'ndjson'."),
    ],
    ids=str,
)
def test_a_query(kind: Any, query: dict[str, str], text: str) -> None:
    with pytest.raises(ProblemError) as refused:
        parse_query(kind, query)
    assert text in refused.value.detail


@pytest.mark.parametrize("mark", ["<script>", "7c0f1111"])
@pytest.mark.parametrize("where", [{"mode": ...}, {"tables": [...]}, {"allowUnlinking": [{"table": ...}]}])
def test_nothing_of_the_request_is_repeated(where: dict[str, Any], mark: str) -> None:
    sent = json.dumps(where, default=lambda _: mark)
    try:
        parse_body(RunBody, sent.encode())
    except ProblemError as refused:
        assert mark not in refused.detail
