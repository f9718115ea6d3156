"""Decisions of the linker: no I/O, no clock, no randomness, no logging."""
