"""How people and programs reach the app: HTTP API, portal, and command line. API and portal share requests and operations."""
