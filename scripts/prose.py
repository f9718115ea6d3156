"""Find words that docs, docstrings, comments and messages of this project do not use, and name a plain one for each.

Usage: python scripts/prose.py [FILE ...]     Without files it reads every tracked text that people read.
The list follows Microsoft's style guide (https://learn.microsoft.com/style-guide/): subject, verb, object.
Inline code and code blocks of Markdown are not prose; of Python only comments and strings are, and of tests comments,
docstrings and the names of tests.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
TESTS: Final = ROOT / "tests"
LISTED: Final = (
    "*.md",
    "*.html",
    "*.bicep",
    "*.kql",
    "linker/*.py",
    "sandbox/*.py",
    "bench/*.py",
    "scripts/*.py",
    "tests/*.py",
    "*.py",
)
# Texts that are not ours, lists of packages, and the list of words itself.
LEFT_OUT: Final = re.compile(
    r"docs/licences\.md|tests/data/|tests/docs/test_prose\.py|scripts/prose\.py|\.github/ISSUE"
)


@dataclass(frozen=True, slots=True)
class Rule:
    """A way of writing that is not used here, and what to write instead."""

    pattern: re.Pattern[str]
    instead: str


@dataclass(frozen=True, slots=True)
class Find:
    """One place where a rule applies."""

    path: str
    line: int
    words: str
    instead: str

    def __str__(self) -> str:
        """Return the place as editors understand it, the words, and what to write instead."""
        return f"{self.path}:{self.line}: '{self.words}': write {self.instead}"


def _rule(pattern: str, instead: str) -> Rule:
    return Rule(re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE), instead)


RULES: Final = (
    _rule("somebody|whoever|nobody", "who it is: a user, an administrator, the caller; or use the passive"),
    _rule("anew", "'again'"),
    _rule(r"(?<!there )(?:is|are|was|were) no(?! longer| more| fewer| less)", "'is not a'"),
    _rule(r"(?:go|goes|went|going) on(?! the| its| a| to)", "'continue'"),
    # The template of the deployment says "there is no setting", and so the app says it as well.
    _rule("there (?:is|are|was|were) no(?! setting| longer| more| fewer| less)", "'X has no', or 'X does not exist'"),
    _rule("mend|mends|mended", "'fix'"),
    _rule("letter by letter", "'verbatim'"),
    _rule("wants to", "'requires', or what happens"),
    _rule(r"asks? nothing", "what is not needed"),
    _rule(r"(?:tell|tells|told|telling)(?!(?: [\w']+){0,3} apart)", "'report', 'return', 'show', or 'log'"),
    _rule("signs? of life", "'heartbeat'"),
    _rule("for want of", "'because ... is missing'"),
    _rule("gives? way", "'stop'"),
    _rule("wants(?! to)", "'requires', 'needs', or 'selects'"),
    _rule("need not", "'does not have to'"),
    _rule("shall", "'must' or 'will'"),
    _rule("hears? of", "'gets', 'learns of', or the passive"),
    _rule("nothing but", "'only'"),
    _rule("all the same", "'anyway' or 'still'"),
    _rule("none of (?:ours|theirs)", "what it is"),
    _rule("of late|lately", "'recently'"),
    _rule("for the sake of", "'for', or 'because of'"),
    _rule("without a word", "'without an error'"),
    _rule("beyond all measure", "the limit"),
    _rule("(?:get|gets|getting) on(?= with|[.,;:])", "'continue'"),
    _rule("he|his|him", "'they', or name the role"),
)


def check(lines: Iterable[tuple[int, str]], path: str) -> Iterator[Find]:
    """Yield what the rules find in numbered lines of prose."""
    for number, line in lines:
        for rule in RULES:
            for found in rule.pattern.finditer(line):
                yield Find(path, number, found.group(), rule.instead)


def markdown(text: str) -> Iterator[tuple[int, str]]:
    """Yield the lines of a Markdown text without code, addresses, and comments."""
    in_code = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            in_code = not in_code
        elif not in_code:
            yield number, re.sub(r"`[^`]*`|\]\([^)]*\)|https?://\S+", " ", line)


def python(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of comments and strings of a module, also of the fixed parts of f-strings."""
    kinds = {tokenize.COMMENT, tokenize.STRING, tokenize.FSTRING_MIDDLE}
    with tokenize.open(path) as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type in kinds and " " in token.string.strip():  # one word is a name, not prose
                for offset, line in enumerate(token.string.splitlines()):
                    yield token.start[0] + offset, re.sub(r"`[^`]*`", " ", line)


def of_tests(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines of comments and docstrings of a module of tests, and the names of its tests as words.

    Other strings are data: what another program says, or what must not be said.
    """
    before = tokenize.NEWLINE
    with tokenize.open(path) as file:
        for token in tokenize.generate_tokens(file.readline):
            is_docstring = token.type == tokenize.STRING and before in _BEGINNINGS
            if token.type == tokenize.COMMENT or is_docstring:
                for offset, line in enumerate(token.string.splitlines()):
                    yield token.start[0] + offset, re.sub(r"`[^`]*`", " ", line)
            if token.type == tokenize.NAME and token.string.startswith("test_") and "def test_" in token.line:
                yield token.start[0], token.string.replace("_", " ")
            before = token.type if token.type not in (tokenize.COMMENT, tokenize.NL) else before


_BEGINNINGS: Final = frozenset({tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT})


def prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines of prose in a file."""
    if path.suffix == ".py":
        return of_tests(path) if TESTS in path.parents else python(path)
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return markdown(text)
    return enumerate((re.sub(r"\{[{%].*?[%}]\}", " ", line) for line in text.splitlines()), 1)


def tracked() -> list[Path]:
    """Return the files that are read without arguments."""
    command = ["git", "ls-files", *LISTED]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)  # noqa: S603 - fixed words
    names = dict.fromkeys(name for name in listed.stdout.splitlines() if not LEFT_OUT.match(name))
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def main(names: list[str]) -> int:
    """Print what the rules find; return 1 when they find anything."""
    paths = [Path(name).resolve() for name in names] or tracked()
    finds = [find for path in paths for find in check(prose(path), str(path.relative_to(ROOT)))]
    print("\n".join(map(str, finds)), end="\n" if finds else "")
    return 1 if finds else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
