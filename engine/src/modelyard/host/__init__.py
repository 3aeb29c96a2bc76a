"""The plugin host: discovers, admits, asks, guards and describes plugins.

Here lives every broad `except` of the engine, always leaving a record with plugin, moment and reason.
What a plugin's answer is used for never lives here. May import `api`, `hookspecs` and pluggy.
"""

from modelyard.host.host import Host
from modelyard.host.loading import load
from modelyard.host.surveying import survey_checks, survey_devices

__all__ = ["Host", "load", "survey_checks", "survey_devices"]
