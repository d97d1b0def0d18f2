"""Files of every kind as pyarrow tables of texts, a block at a time."""
