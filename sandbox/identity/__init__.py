"""The accounts of the environment, their tokens, and the managed identity endpoint."""
