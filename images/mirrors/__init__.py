"""Where this machine's mirrors are: found in its own configuration, never in this project's files."""
