"""Requirements R1-R6: facts, checks, and which tables a run may link."""
