"""What a write needs and sets in motion: privileges, automations, permission, and the report of a preflight."""
