"""The promise of `Check`."""

from __future__ import annotations

import pytest

from modelyard.api import Check, Finding, Maturity, Severity


class CheckConformance:
    """Override `check`."""

    @pytest.fixture
    def check(self) -> Check:
        """Give the check under test."""
        raise NotImplementedError

    def test_the_record_names_itself(self, check: Check) -> None:
        """It satisfies the Protocol with a name and a maturity."""
        assert isinstance(check, Check)
        assert check.name
        assert isinstance(check.maturity, Maturity)

    def test_a_run_gives_at_least_one_finding_of_its_own(self, check: Check) -> None:
        """Silence is not an answer, and every finding says which check it is of."""
        findings = check.run()
        assert findings
        assert isinstance(findings, tuple)
        assert all(type(one) is Finding and one.check == check.name for one in findings)
        assert all(one.subject and one.message for one in findings)

    def test_a_risk_or_a_blocker_says_how_to_mend_it(self, check: Check) -> None:
        """WARNING and ERROR carry a fix."""
        bad = [one for one in check.run() if one.severity in (Severity.WARNING, Severity.ERROR)]
        assert all(one.fix for one in bad)

    def test_looking_changes_nothing(self, check: Check) -> None:
        """A second run sees the same subjects."""
        assert [one.subject for one in check.run()] == [one.subject for one in check.run()]
