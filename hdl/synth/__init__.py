"""A yardstick for the size and speed of the engine on an ECP5 by open tools; not evidence for other families."""
