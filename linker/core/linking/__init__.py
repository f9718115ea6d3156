"""Which rows of a table to link: reading the mapping, shards, claims, hashes, differences, row errors."""
