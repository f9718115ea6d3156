"""Definitions of tables, columns and relationships: reading and changing them (dataverse.md 8)."""
