"""What a proof makes in an environment: everything carries its tag, so that it is found again and removed."""

from __future__ import annotations

import re
from dataclasses import dataclass

from linker.adapters.dataverse.lookup_column import ENGLISH

MARK = "linkerlive"  # how the unique names of our publishers and solutions begin
_TAG = re.compile(MARK + r"([0-9a-f]{5})")


@dataclass(frozen=True, slots=True)
class Own:
    """Names of everything that one proof makes.

    `tag` is five hexadecimal digits: a prefix has at most eight characters. `language` is the language code of labels: an
    environment takes no label without its base language.
    """

    tag: str
    language: int = ENGLISH

    @property
    def publisher(self) -> str:
        """Unique name of the publisher, and of its solution."""
        return MARK + self.tag

    @property
    def prefix(self) -> str:
        """The publisher's customization prefix, with which names of tables and columns begin."""
        return f"lnk{self.tag}"

    @property
    def row(self) -> str:
        """The table whose rows are linked."""
        return f"{self.prefix}_row"

    @property
    def profile(self) -> str:
        """The table that is linked to."""
        return f"{self.prefix}_profile"

    @property
    def elastic(self) -> str:
        """An elastic table that the first table links to."""
        return f"{self.prefix}_elastic"

    @property
    def tables(self) -> tuple[str, ...]:
        """All tables, in the order in which they can be deleted."""
        return self.row, self.profile, self.elastic

    @property
    def name(self) -> str:
        """The primary name column of each table; all rows of one check share a name."""
        return f"{self.prefix}_name"

    @property
    def customer(self) -> str:
        """The text column of the first table that holds a CustomerId."""
        return f"{self.prefix}_customerid"

    @property
    def things(self) -> tuple[str, ...]:
        """Everything in words, to be shown before it is made."""
        return (
            f"publisher and solution '{self.publisher}' (prefix '{self.prefix}')",
            f"table '{self.row}' with a lookup to table '{self.profile}'",
            "for some seconds each, lookup columns with the linker's own name on that table",
            f"a lookup from that table to msdynci_customerprofile, and one to an elastic table '{self.elastic}'",
            "with --watch, a service endpoint and steps on profile events that lead to an address that does not exist",
        )


def of_publisher(unique_name: str) -> Own | None:
    """Return what a publisher stands for, None when it is another's."""
    found = _TAG.fullmatch(unique_name)
    return Own(found[1]) if found else None
