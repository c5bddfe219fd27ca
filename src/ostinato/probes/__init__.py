"""What a task exposes of a model for diagnosis: its recurrences at work, and the ways it can be run."""
