"""Encoders, decoders and blocks that models of several tasks share."""
