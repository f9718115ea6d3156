"""A run from request to end: lock, status, steps, watermarks, and the values that durable calls carry."""
