"""Runs in a folder: what is said of each, what they take, what of them can go, and one packed to be shared."""
