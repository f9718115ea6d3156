"""How people and programs reach the app: HTTP API, portal, and command line."""
