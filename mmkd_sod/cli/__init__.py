"""The command line: what the commands share, and the commands."""
