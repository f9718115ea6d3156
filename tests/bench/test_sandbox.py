"""The measurement of the sandbox itself: what it loads."""

from pathlib import Path

from bench.sandbox import LINKED, write_folder
from sandbox.data.csv_folder import read_folder
from sandbox.data.generator import Sizes, generate


def test_the_folder_holds_the_whole_mapping_and_a_few_rows_to_link(tmp_path: Path) -> None:
    rows = LINKED + 1_000
    write_folder(generate(Sizes(rows, 0, 0)), tmp_path)
    loaded = {table.name: sum(1 for _ in table.rows()) for table in read_folder(tmp_path).tables}
    assert loaded == {"contact": LINKED, "msdynci_customerprofile": rows * 6 // 10, "msdynci_alternatekey": rows}
