"""An example of a vnetcard plug-in: one window kind and one port kind."""
