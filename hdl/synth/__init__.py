"""A yardstick for the engine's size and speed: an ECP5, by open tools.  No evidence for any other family."""
