"""vnetcard."""
