"""What a run does outside of the orchestrator: each activity takes one value and returns one, and is safe to repeat."""
