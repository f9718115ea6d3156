"""The operations of the Web API on rows: reads, queries, writes, bulk messages, functions, and actions."""
