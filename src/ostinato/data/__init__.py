"""Data: files read, their columns inferred, rows split and encoded."""
