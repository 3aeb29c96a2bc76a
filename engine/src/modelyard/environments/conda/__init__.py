"""Conda environments for images: solved for the image's platform, laid out for their prefix, with rattler.

Lives here: reading conda files, channels and their credentials, locks, fetching, linking, what pip finds
afterwards. Never here: images, solving what pip installs. The one room that imports `rattler`.
May import the rest of `environments`, `processes` and `api`.
"""

from modelyard.environments.conda.laying_out import lay_out_conda
from modelyard.environments.conda.locks import CondaLock, CondaPackage, parse_conda_lock
from modelyard.environments.conda.platforms import CondaPlatform, conda_platform
from modelyard.environments.conda.pythons import locked_python, pip_constraints, python_of
from modelyard.environments.conda.settings import CondaSettings, read_settings
from modelyard.environments.conda.solving import solve_conda
from modelyard.environments.conda.specs import CondaSpec

__all__ = [
    "CondaLock",
    "CondaPackage",
    "CondaPlatform",
    "CondaSettings",
    "CondaSpec",
    "conda_platform",
    "lay_out_conda",
    "locked_python",
    "parse_conda_lock",
    "pip_constraints",
    "python_of",
    "read_settings",
    "solve_conda",
]
