"""The customer profile linker: links Dataverse source rows to their customer profiles after each unification."""

VERSION = "0.1.0"  # stated here only: packaging, the API, and the command line read it
