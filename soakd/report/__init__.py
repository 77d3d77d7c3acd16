"""What a run leaves for readers: HTML, Markdown, JUnit, flame graphs, and the difference of two runs."""
