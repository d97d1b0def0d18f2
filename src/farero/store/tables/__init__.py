"""Every table, one file a family."""
