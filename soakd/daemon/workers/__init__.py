"""The lives of workers: started, watched, restarted, stopped, and read from outside."""
