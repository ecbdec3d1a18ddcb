"""One side of a link in freestanding C, an lwIP interface over it, and the same as a program: ``vnetcard stack``."""
