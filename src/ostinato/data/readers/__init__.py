"""Readers by format: each turns a path into blocks of text columns, and says which paths are its own."""
