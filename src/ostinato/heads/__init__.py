"""What a network's outputs mean: `base.OutputHead`, its kinds, and which of them is asked for (`build`)."""
