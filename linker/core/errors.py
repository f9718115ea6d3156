"""What can go wrong, named by what to do next.

LinkerError
├── ConfigurationError        fix a setting, a permission or the environment; trying again changes nothing
├── TransientError            try later; `wait_s` says when
│   ├── ThrottledError        Dataverse asked us to pause (service protection)
│   ├── TableBusyError        an elastic table refused a request for the load of the moment
│   ├── UnknownOutcomeError   Dataverse did not clearly answer a write: it may be committed, also later
│   └── BusyError             callers asked for more looks at Dataverse than the app makes for them
├── DataverseError            Dataverse refused a request for good; carries status, code and text
├── SupersededError           another attempt owns this page now; nothing more may be sent
├── ConflictError             a request contradicts what is known by now; the caller has to look again
├── FaultError                a fault of this app, without the message of its cause
├── LedgerError               rows read and outcomes do not add up; the run must not call itself successful
└── StateError
    ├── LimitError            Table Storage cannot hold this key or value; nothing was sent
    ├── AlreadyThereError     the entity to insert exists
    └── ChangedError          the entity changed since it was read (ETag)
"""

from __future__ import annotations


class LinkerError(Exception):
    """Base of everything this product raises on purpose."""


class ConfigurationError(LinkerError):
    """Something a person must change; the message says what, and that nothing was written."""


class TransientError(LinkerError):
    """Worth trying again after `wait_s` seconds."""

    def __init__(self, message: str, *, wait_s: float = 5.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class ThrottledError(TransientError):
    """A 429 of service protection; `wait_s` is what Retry-After asked for (dataverse.md 1.2)."""


class TableBusyError(TransientError):
    """The 429 of an elastic table. It concerns requests to that table alone, and says nothing about service protection."""


class UnknownOutcomeError(TransientError):
    """No answer to a write, or none that Dataverse clearly gave. It may be committed, up to two minutes from now."""


class BusyError(TransientError):
    """The budget of looks for callers is used up; `wait_s` says when to ask again."""


class DataverseError(LinkerError):
    """An answer that repeating will not change (dataverse.md 13)."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(f"Dataverse answered {status} {code}: {text}")
        self.status, self.code, self.text = status, code, text


class SupersededError(LinkerError):
    """A later attempt took the page."""


class ConflictError(LinkerError):
    """A request that does not fit what is known by now; nothing was done, and the caller has to look again."""


class FaultError(LinkerError):
    """Something unforeseen; what the platform keeps of it must not hold what it was about."""


class LedgerError(LinkerError):
    """Both sides of the ledger were counted and differ."""


class StateError(LinkerError):
    """The state in Table Storage is not as the caller believed."""


class LimitError(StateError):
    """A key or value breaks a limit of Table Storage (azure.md 8.1), which the local emulator would not report."""


class AlreadyThereError(StateError):
    """Insert found an entity with this key."""


class ChangedError(StateError):
    """The entity was changed or deleted since it was read."""
