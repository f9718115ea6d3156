"""The peers: what people write links with today, each used as its documentation shows. All get the same rows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import batched
from typing import Any

import requests
from azure.core.credentials import AccessToken
from dataverse_api import DataverseClient as ThreadedClient
from dataverse_api.utils.batching import transform_to_batch_for_upsert
from PowerPlatform.Dataverse.client import DataverseClient

from bench.environment import TABLE, Environment

KEY, ENTITY_SET, PROFILE_SET = "contactid", "contacts", "msdynci_customerprofiles"
API = "/api/data/v9.2/"
CHUNK = 1_000
THREADED_BATCH = 500  # its default


@dataclass(frozen=True, slots=True)
class Work:
    """Links to write: profile id by row id, through a lookup whose navigation property is `navigation`."""

    environment: Environment
    navigation: str
    links: Mapping[str, str]

    def change(self, row: str) -> dict[str, str]:
        """Return the update of one row."""
        return {f"{self.navigation}@odata.bind": f"/{PROFILE_SET}({self.links[row]})"}


type Writer = Callable[[Work], str]
"""Writes the links; returns what it reported about failures, empty without any."""


def loop_of_patch(work: Work) -> str:
    """One PATCH a row, one after the other; a refusal is noted and the loop continues."""
    errors: list[str] = []
    with _session(work.environment) as session:
        for row in work.links:
            url = f"{work.environment.url}{API}{ENTITY_SET}({row})"
            answer = session.patch(url, json=work.change(row), headers={"If-Match": "*"}, timeout=120)
            errors += [] if answer.ok else [str(answer.status_code)]
    return f"{len(errors)} refused" if errors else ""


def sdk_as_documented(work: Work) -> str:
    """Microsoft's SDK, `records.update` with a list of ids and one of changes."""
    with _sdk(work.environment) as client:
        return told(lambda: client.records.update(TABLE, list(work.links), [work.change(row) for row in work.links]))


def sdk_in_chunks(work: Work) -> str:
    """The same, cut by hand into calls of 1,000 rows; a call that fails is noted and the loop continues."""
    with _sdk(work.environment) as client:

        def update(rows: Sequence[str]) -> str:
            return told(lambda: client.records.update(TABLE, list(rows), list(map(work.change, rows))))

        errors = [update(rows) for rows in batched(work.links, CHUNK, strict=False)]
    return "; ".join(dict.fromkeys(filter(None, errors)))


def threaded_batches(work: Work) -> str:
    """`dataverse-api`: upsert in `$batch` requests of its default 500 rows, in threads."""
    logging.disable(logging.ERROR)  # its only word about a failed chunk is a log line
    try:
        with _session(work.environment, _WindowsLines) as session:
            # What `entity(...).upsert(rows, mode="batch", threading=True)` does once it has read the table's metadata, of
            # which it selects a property that the sandbox does not have.
            commands = transform_to_batch_for_upsert(
                ENTITY_SET, [{KEY: row, **work.change(row)} for row in work.links], [KEY], is_primary_id=True
            )
            client = ThreadedClient(session, work.environment.url)
            answers = client._batch_api_call(commands, batch_size=THREADED_BATCH, threading=True)
    finally:
        logging.disable(logging.NOTSET)
    failed = [answer.status_code for answer in answers if answer is None or not answer.ok]
    return f"{len(failed)} of {len(answers)} batches failed, in its log only" if failed else ""


PEERS: Mapping[str, Writer] = {
    "loop of PATCH": loop_of_patch,
    "SDK as documented": sdk_as_documented,
    "SDK by 1,000": sdk_in_chunks,
    "dataverse-api threads": threaded_batches,
}


class _Credential:
    """Hands the sandbox's token to the SDK."""

    def __init__(self, environment: Environment) -> None:
        self._token = AccessToken(environment.token(), int(time.time()) + 3_000)

    def get_token(self, *scopes: str, **options: object) -> AccessToken:
        """Return the one token."""
        del scopes, options
        return self._token


@contextmanager
def _sdk(environment: Environment) -> Iterator[DataverseClient]:
    with DataverseClient(environment.url, _Credential(environment)) as client:
        session: Any = client._session  # the SDK has no setting for a certificate authority
        session.verify, session.trust_env = environment.ca, False
        yield client


class _WindowsLines(requests.Session):
    """Ends the lines of a batch in CRLF: `dataverse-api` sends LF, which the sandbox refuses, as Dataverse may (3.1)."""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request with other line ends."""
        if isinstance(request.body, str):
            request.prepare_body(request.body.replace("\n", "\r\n").encode(), None)
        return super().send(request, **options)


@contextmanager
def _session(environment: Environment, kind: type[requests.Session] = requests.Session) -> Iterator[requests.Session]:
    with kind() as session:
        session.trust_env, session.verify = False, environment.ca
        session.headers["Authorization"] = f"Bearer {environment.token()}"
        yield session


def told(call: Callable[[], str | None]) -> str:
    """Return what a call said about failures: its answer, or what it raised."""
    try:
        return call() or ""
    except Exception as error:  # whatever a peer raises is its report
        return f"{type(error).__name__}: {error}"[:120]
