"""The command line: `python -m linker --help`. Not part of the deployed app."""

from linker.cli.app import app

if __name__ == "__main__":
    app()
