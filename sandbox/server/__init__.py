"""The server process: its parts, its control API, its certificate, and Azurite beside it."""
