"""The command line: `linker --help` or `python -m linker --help`. Not part of the deployed app."""

from linker.entrypoints.cli.app import app


def main() -> None:
    """Run the command line; the console script `linker` starts here."""
    app()


if __name__ == "__main__":
    main()
