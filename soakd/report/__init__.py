"""What a run leaves for readers and machines beside its verdict file. Shows, never computes."""
