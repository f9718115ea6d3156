"""The environments of docs/requirements.md: each requirement violated alone and in pairs, unknown, declared, and the column."""

from tests.requirements import cases_column, cases_r1_r2, cases_r3_r6

CASES = [*cases_r1_r2.CASES, *cases_r3_r6.CASES, *cases_column.CASES]
