"""The Dataverse Web API v9.2 on one machine."""

from sandbox.webapi.app import routes

__all__ = ["routes"]
