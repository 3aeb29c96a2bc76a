"""FPGA cards as devices: found through sysfs, described by XRT and OPAE where they are installed.

Here lives what knows FPGA drivers and tools; loading bitstreams never does.
May import `modelyard.api` and the hook marker.
"""

from modelyard_fpga.backend import FpgaBackend
from modelyard_fpga.check import FpgaCheck

__all__ = ["FpgaBackend", "FpgaCheck"]
