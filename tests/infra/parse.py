"""Parses Bicep files with the parser that checkov brings, in its environment, and prints the names of those it cannot read."""

import sys
from pathlib import Path

from lark import LarkError
from pycep import BicepParser

for name in sys.argv[1:]:
    try:
        BicepParser().parse(text=Path(name).read_text(encoding="utf-8"))
    except LarkError:
        print(Path(name).name)
