"""Known vulnerabilities: an offline OSV database, matched against the packages of a lock.

Lives here: reading that database within bounds, deciding whether a version is affected, saying so or saying
that nobody knows. Never here: fetching it, what is done about a finding. Asks no network.
May import `environments.pins`, `processes` and `api`.
"""

from modelyard.environments.advisories.database import Database, find_folder
from modelyard.environments.advisories.matching import Vulnerability
from modelyard.environments.advisories.reporting import Report, known_vulnerabilities

__all__ = ["Database", "Report", "Vulnerability", "find_folder", "known_vulnerabilities"]
