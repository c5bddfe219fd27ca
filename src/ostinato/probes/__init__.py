"""What a task hands out of a model to be looked at: its recurrences at work, and the ways it can be run."""
