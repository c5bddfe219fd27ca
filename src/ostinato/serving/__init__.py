"""Recurrent state as a service: sessions, the engine that computes them, and the server in front of it.

`sessions` knows no network and `engine` no HTTP; `app` knows no task. The extra `serve` brings what the server needs.
"""
