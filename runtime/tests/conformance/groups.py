"""All groups of the comparison."""

from __future__ import annotations

from runtime.tests.conformance import http_groups, schema_groups, service_groups, text_groups

GROUPS = (*text_groups.GROUPS, *service_groups.GROUPS, *schema_groups.GROUPS, *http_groups.GROUPS)
