"""The language of error texts (switch `error_language`). Dataverse answers in the language of the user; codes stay the same.

Real German texts are not known here. What is kept of a text is what no language changes: ids, names and numbers.
"""

import re
from contextvars import ContextVar
from typing import Final

from sandbox.switches.requests import ErrorLanguage

error_language: ContextVar[ErrorLanguage] = ContextVar("error_language", default="en")
"""The language of the request that is being answered."""

_GERMAN: Final = {
    "0x80040217": "Der Datensatz ist nicht vorhanden",
    "0x80060891": "Ein Datensatz mit diesen Schlüsselwerten ist nicht vorhanden",
    "0x80040220": "Dem Benutzer fehlt eine Berechtigung",
    "0x80040265": "Ein Plug-In hat den Vorgang abgebrochen",
    "0x80044150": "Allgemeiner SQL-Fehler",
    "0x80044151": "Zeitüberschreitung in SQL",
    "0x80040216": "Ein unerwarteter Fehler ist aufgetreten",
    "0x80071151": "Eine andere Anpassung wird gerade ausgeführt",
    "0x80060882": "Der Datensatz wurde inzwischen geändert",
    "0x8004f507": "Für ein gesichertes Feld fehlt die Berechtigung zum Aktualisieren",
    "0x8004f504": "Für ein gesichertes Feld fehlt die Leseberechtigung",
    "0x80072560": "Der Benutzer ist kein Mitglied der Organisation",
}
_OTHER: Final = "Die Anforderung kann nicht verarbeitet werden"
_KEPT: Final = re.compile(
    r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|\bprv[A-Z]\w+|'[^']*'|\b[a-z]+_\w+|\b\d{3,}\b"
)


def localized(code: str, message: str) -> str:
    """Return the text of an error in the language of the request."""
    match error_language.get():
        case "de":
            kept = ", ".join(dict.fromkeys(_KEPT.findall(message)))
            phrase = _GERMAN.get(code.lower(), _OTHER)
            return f"{phrase}: {kept}." if kept else f"{phrase}."
        case "none":
            return ""
        case _:
            return message
