"""`python -m linker preflight`: what may be linked and what would happen, before anything is written."""

from __future__ import annotations

import typer


def preflight() -> None:
    """Show what may be linked, and what would happen. Writes nothing."""
    typer.echo("")
