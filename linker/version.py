"""The version of the app: the one place that states it. Packaging, the API, and the command line read it here."""

from __future__ import annotations

VERSION = "0.1.0"
