"""What is known of a run at this moment, and what shows it. Computes nothing."""
