"""docs/reliability.md says what was tried, what held, what makes no sense and what was not run."""

from __future__ import annotations

from .report import BEGIN, END, NOT_RUN, PAGE, written
from .results import Results, load
from .trial import Verdict

HELD = Verdict(1, 1, (), 1.0)
FAILED = Verdict(1, 2, ("2 rows of contact are wrong",), 1.0)


def cells(text: str, first: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {first} |")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_the_page_is_the_one_that_the_results_give() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert written(page, load()) == page


def test_a_cell_counts_what_held_of_what_was_tried() -> None:
    tried = {"deadlock / write / first / 1": HELD, "deadlock / write / later / 1": FAILED, "host killed / 2": HELD}
    text = written(f"before\n{BEGIN}\nof yesterday\n{END}\nafter\n", Results("Some machine.", tried))
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "of yesterday" not in text
    assert "Tried 2 cases of the matrix, held 1; not run: " in text
    by_step = dict(zip(cells(text, "Fault"), cells(text, "`deadlock`"), strict=True))
    assert (by_step["write"], by_step["isolate"]) == ("1/2", NOT_RUN)
    assert by_step["settle"] == by_step["read-back"] != NOT_RUN  # the same reason why it makes no sense
    assert "deadlock / write / later / 1: 2 rows of contact are wrong" in text
    assert cells(text, "The host is killed (SIGKILL), and a new one starts") == ["1", "1"]
    assert "Some machine." in text
