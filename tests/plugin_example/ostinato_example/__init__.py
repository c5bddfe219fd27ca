"""What a package outside Ostinato may add to it; its `pyproject.toml` names each thing as an entry point."""
