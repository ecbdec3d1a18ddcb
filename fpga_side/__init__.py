"""What runs on the card only: its agent and its service unit."""
