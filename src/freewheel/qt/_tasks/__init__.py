"""What is under way and what waits, and the buttons that control it."""
