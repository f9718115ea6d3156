"""Customer Insights - Data: its API, its workflow jobs and events, and what a unification writes."""
