import os

from linker.core.errors import ConfigurationError


def check_start() -> None:
    if "SAMPLE_URL" not in os.environ:
        raise ConfigurationError("Setting SAMPLE_URL is missing. Set it to the address of the sample.")
