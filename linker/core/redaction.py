"""Texts without what must not leave: secrets, personal data, words of others, line ends that forge lines of a log. Pure."""

from __future__ import annotations

import re
from hashlib import sha256

from linker.core.errors import LinkerError

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
    text = bounded(text)
    text = _SECRET.sub(r"\1\2<secret>", _TOKEN.sub("<token>", text))
    hashed = _KEY.sub(lambda key: f"#{sha256(key[0].lower().encode()).hexdigest()[:12]}", _MAIL.sub("<mail>", text))
    return one_line(hashed)


def cleaned(text: str) -> str:
    """Return a text as `without_secrets` does, and without queries and Dataverse's own words: they may name people."""
    return without_secrets(_QUERY.sub("?...", _ANSWER.sub(r"\1", bounded(text))))


def bounded(text: str) -> str:
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
    told = (cleaned(str(error)),) if isinstance(error, LinkerError) else ()
    made: BaseException = type(name, (Exception,), {"__module__": module})(*told)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    made.__cause__ = without_words(cause, causes - 1) if cause and causes else None
    return made.with_traceback(error.__traceback__)
