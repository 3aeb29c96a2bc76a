"""The engine and its plugins as wheels: read, checked against each other, made again of what is installed.

`wheels` reads one, `fitting` judges several, `repacking` makes one of an installed distribution, `gathering`
says which there are.
"""

from modelyard.environments.distributions.fitting import check_fit, requirements_of
from modelyard.environments.distributions.gathering import Gathered, gather_folder, gather_installed
from modelyard.environments.distributions.wheels import WheelFile, read_wheel

__all__ = [
    "Gathered",
    "WheelFile",
    "check_fit",
    "gather_folder",
    "gather_installed",
    "read_wheel",
    "requirements_of",
]
