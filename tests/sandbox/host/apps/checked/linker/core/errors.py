class ConfigurationError(Exception):
    """A setting is missing."""
