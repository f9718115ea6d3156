"""What activities share when they read or write the rows of a shard."""
