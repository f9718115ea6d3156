"""The durable run: deterministic orchestrators, activities, what activities share, and the boundary to the runtime."""
