"""``make soak``: a link of two agents under everything at once for hours, with what it holds watched."""
