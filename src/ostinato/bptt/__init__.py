"""Backpropagation through time, whole and truncated, for any task."""
