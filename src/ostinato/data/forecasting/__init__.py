"""Time series in tables: read, made regular, scaled, cut into windows."""
