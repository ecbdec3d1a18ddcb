"""What our command lines share: arguments, one-line errors, safe text, progress, SVG."""
