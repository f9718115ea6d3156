"""What pages show, as values. Pure: state in, lines out."""
