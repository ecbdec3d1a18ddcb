"""What every command line of ours shares: arguments, one-line errors, safe text, progress bars."""
