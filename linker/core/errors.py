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

An error may carry words of others. Functions below take out of a text what must not leave: secrets, personal data, and line
ends that forge lines of a log.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final


class LinkerError(Exception):
    """Base of everything this product raises on purpose."""


class ConfigurationError(LinkerError):
    """Something a person must change; the message says what, and that nothing was written."""


# What is waited for nothing would look like work that is done; and a service may ask for any wait.
LEAST_WAIT_S: Final = 0.05
MOST_WAIT_S: Final = 86_400.0


class TransientError(LinkerError):
    """Worth trying again after `wait_s` seconds: those that were asked for, from LEAST_WAIT_S to MOST_WAIT_S."""

    def __init__(self, message: str, *, wait_s: float = 5.0) -> None:
        super().__init__(message)
        self.wait_s = min(max(LEAST_WAIT_S, wait_s), MOST_WAIT_S)


class ThrottledError(TransientError):
    """A 429 of service protection; `wait_s` is what Retry-After asked for (docs/reference/dataverse.md 1.2)."""


class TableBusyError(TransientError):
    """The 429 of an elastic table. It concerns requests to that table alone, and says nothing about service protection."""


class UnknownOutcomeError(TransientError):
    """No answer to a write, or none that Dataverse clearly gave. It may be committed, up to two minutes from now."""


class BusyError(TransientError):
    """The budget of looks for callers is used up; `wait_s` says when to ask again."""


class DataverseError(LinkerError):
    """An answer that repeating will not change (docs/reference/dataverse.md 13)."""

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
    """A key or value breaks a limit of Table Storage (docs/reference/azure.md 8.1), which the emulator does not report."""


class AlreadyThereError(StateError):
    """Insert found an entity with this key."""


class ChangedError(StateError):
    """The entity was changed or deleted since it was read."""


MAX_CAUSES = 8  # of an error, and of its causes, that are kept
MAX_TEXT = 10_000  # characters of a text that are looked at: words of others have any length
_ANSWER = re.compile(
    r"(Dataverse (?:asked for a pause|answered \d+(?: 0x[0-9a-f]+)?)|refused the token \(401\)\.).*",
    re.DOTALL | re.IGNORECASE,
)
_QUERY = re.compile(r"\?\S+")
# Each expression below looks at a character a bounded number of times, so that no text takes long.
_TOKEN = re.compile(
    r"(?<![\w-])eyJ[\w-]+\.[\w-]+\.[\w-]*|(?<=\bBearer )\S+|(?<=[?&]code=)[^\s&]+|(?<=\bcode=)[\w/+=-]{20,}",
    re.IGNORECASE,
)
_SECRET = re.compile(
    r"\b(AccountKey|SharedAccessKey|SharedAccessSignature|sig|x-functions-key|Ocp-Apim-Subscription-Key|X-IDENTITY-HEADER"
    r"|linker_session|client_secret|access_token|refresh_token|id_token|password|secret)"
    r"(['\"]?\s{0,9}[=:]\s{0,9}['\"]?)[^\s;&,'\"]+",
    re.IGNORECASE,
)
_MAIL = re.compile(r"[\w.+-]{1,64}@[\w-]{1,255}\.[\w.-]{1,255}")
_KEY = re.compile(r"\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """Return a text on one line without tokens, keys and mail addresses; ids of rows and customers are hashed.

    A text longer than MAX_TEXT is cut first, before the word that would be cut in two.
    """
    text = bound_text(text)
    text = _SECRET.sub(r"\1\2<secret>", _TOKEN.sub("<token>", text))
    hashed = _KEY.sub(lambda key: f"#{sha256(key[0].lower().encode()).hexdigest()[:12]}", _MAIL.sub("<mail>", text))
    return one_line(hashed)


def clean_text(text: str) -> str:
    """Return a text as `without_secrets` does, and without queries and Dataverse's own words: they may name people."""
    return without_secrets(_QUERY.sub("?...", _ANSWER.sub(r"\1", bound_text(text))))


def bound_text(text: str) -> str:
    """Return a text of at most MAX_TEXT characters: a part of a secret would not be recognized, so no word is cut."""
    if len(text) <= MAX_TEXT:
        return text
    return " ".join((*text[:MAX_TEXT].rsplit(None, 1)[:-1], "(cut)"))


def one_line(text: str) -> str:
    """Return a text with everything escaped that a reader of a log does not see as it is, line ends first of all."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def without_words(error: BaseException, causes: int = MAX_CAUSES) -> BaseException:
    """Return an error of the same name, frames and causes. Only errors of ours keep their message, cleaned."""
    name, module = type(error).__name__, type(error).__module__
    told = (clean_text(str(error)),) if isinstance(error, LinkerError) else ()
    made: BaseException = type(name, (Exception,), {"__module__": module})(*told)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    made.__cause__ = without_words(cause, causes - 1) if cause and causes else None
    return made.with_traceback(error.__traceback__)
