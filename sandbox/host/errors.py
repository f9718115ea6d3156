"""What keeps the local host from starting."""


class StartRefusedError(Exception):
    """The app cannot run as it is. The message is complete: it names the culprit and says what to do."""
