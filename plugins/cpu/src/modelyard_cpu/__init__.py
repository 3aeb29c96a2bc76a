"""cpu plugin of Modelyard."""
