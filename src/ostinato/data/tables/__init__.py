"""Columns made of other columns or rows: wide and long tables, lists in cells."""
