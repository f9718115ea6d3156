"""The measurement of the sandbox itself: what it loads and what it prints."""

from pathlib import Path

from bench.sandbox import LINKED, Speed, line, write_folder
from sandbox.generate import Sizes, generate
from sandbox.loading import read_folder


def test_the_folder_holds_the_whole_mapping_and_a_few_rows_to_link(tmp_path: Path) -> None:
    rows = LINKED + 1_000
    write_folder(generate(Sizes(rows, 0, 0)), tmp_path)
    loaded = {table.name: sum(1 for _ in table.rows()) for table in read_folder(tmp_path).tables}
    assert loaded == {"contact": LINKED, "msdynci_customerprofile": rows * 6 // 10, "msdynci_alternatekey": rows}


def test_a_line_tells_the_first_page_apart() -> None:
    speed = Speed(37.4, (35.0, 20.0, 21.0), (700.0, 40.0, 50.0, 60.0), (20.0, 30.0, 25.0), 800.0, 1900.0)
    assert (
        line("memory", speed)
        == "| memory | 37 s | 21 ms (at most 35) | 700 ms | 50 ms (at most 60) | 25 ms (at most 30) | 800 MB | 1,900 MB |"
    )
