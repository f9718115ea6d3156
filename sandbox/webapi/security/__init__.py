"""Who asks and what they may do: the organization, application users, roles, and privileges."""
