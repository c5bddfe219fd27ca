"""What a notebook shows of a run: a card, plots on matplotlib's axes, its history as a table."""
