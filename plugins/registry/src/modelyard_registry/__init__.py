"""registry plugin of Modelyard."""
