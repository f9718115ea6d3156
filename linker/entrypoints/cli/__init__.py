"""The command line of the linker. Each module offers one command; `linker.__main__` lists them."""
