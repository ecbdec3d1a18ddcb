"""``vnetcard report``: what it runs, and the page that it writes."""
