"""Requests in flight as routers report them: the newest report and averages over a short past."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection

from modelyard.router import LoadReport

WINDOW_SECONDS = 60.0
"""The longest refresh that still averages over all its samples."""


class Loads:
    """Load reports of the last minute."""

    def __init__(self) -> None:
        self._reports: deque[LoadReport] = deque()

    def take(self, report: LoadReport) -> None:
        """Keep a report; forget those that are too old."""
        self._reports.append(report)
        while self._reports[0].at_s < report.at_s - WINDOW_SECONDS:
            self._reports.popleft()

    def average(self, service: str, *, since: float, leave_out: Collection[str] = ()) -> float | None:
        """Average a service's requests in flight since then; None when nobody reported."""
        totals = [
            sum(n for address, n in one.in_flight.get(service, {}).items() if address not in leave_out)
            for one in self._reports
            if one.at_s > since
        ]
        return sum(totals) / len(totals) if totals else None

    def at_address(self, service: str, address: str, *, since: float) -> int | None:
        """Count requests on one replica by the newest report after `since`; None when there is none."""
        if not self._reports or self._reports[-1].at_s <= since:
            return None
        return self._reports[-1].in_flight.get(service, {}).get(address, 0)
