"""What crosses a pipe between daemon and worker. Standard library only: both sides import it."""
