"""fpga plugin of Modelyard."""
