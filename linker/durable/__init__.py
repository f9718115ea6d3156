"""The durable run: deterministic orchestrators, activities, what these share to link a shard, and the boundary."""
