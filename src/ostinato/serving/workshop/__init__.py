"""Training from the page: files that were dropped on it, what they hold, and processes that train on them.

Only `ostinato ui` has it, which serves whoever sits at this machine; `ostinato serve` never does.
"""
