"""What can be switched while the sandbox runs, and the registry that documents it."""
