"""Output heads: `base.OutputHead`, its implementations, and which of them a recipe needs (`build`)."""
