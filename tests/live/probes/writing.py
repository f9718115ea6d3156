"""W1 to W5: what only writing can settle, in an environment that its owner calls disposable."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WritingProbe:
    """A probe that writes. `writes` says what it makes and removes again."""

    name: str
    title: str
    writes: str


WRITING = (
    WritingProbe(
        "W1",
        "Relationship of a standard table to the profile table",
        "A lookup column from a table of our own to msdynci_customerprofile, and its relationship; both go with the table.",
    ),
    WritingProbe(
        "W2", "Ways to bind a link", "Links of rows in that table to a profile that exists; no profile is written."
    ),
    WritingProbe(
        "W3",
        "Links to an elastic table of our own",
        "An elastic table of our own with two rows, and links of our own rows to them; one of the two rows is deleted.",
    ),
    WritingProbe(
        "W4",
        "What one unification changes",
        "Nothing: for --watch minutes it reads the newest changes of profiles, mapping rows, and workflow rows.",
    ),
    WritingProbe(
        "W5",
        "Events of profile changes",
        "A service endpoint with an address that does not exist, and one asynchronous step each on Create, Update, and "
        "Upsert of profiles, for as long as W4 watches.",
    ),
)
