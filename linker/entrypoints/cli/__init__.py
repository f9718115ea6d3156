"""The command line of the linker. Each module offers one command; `app` lists them."""
