"""What only a real environment can say about elastic tables, as requests with a verdict (docs/dev/live.md)."""
