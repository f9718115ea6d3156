"""The whole thing on one machine, shown to a person: three unifications, and what the linker made of them."""
