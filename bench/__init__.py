"""Side-by-side measurements of the linker, its peers and the raw ceiling on the sandbox. `python -m bench --help`."""
