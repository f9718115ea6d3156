"""Definitions of tables, columns and relationships: reading and changing them (docs/reference/dataverse.md 8)."""
