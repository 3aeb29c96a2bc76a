"""gpu plugin of Modelyard."""
