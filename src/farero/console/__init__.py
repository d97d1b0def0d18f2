"""The web console, a client like any other."""
