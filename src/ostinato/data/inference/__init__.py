"""What a recipe leaves open, auto-detected from the first rows of the data."""
