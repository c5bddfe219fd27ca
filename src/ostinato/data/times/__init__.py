"""Time stamps: their forms, how they are inferred, steps of a series, stamps after its end."""
