"""auth plugin of Modelyard."""
