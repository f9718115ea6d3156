"""What OData and Dataverse know besides what the sandbox answers: these names get 501, others a syntax error."""

from typing import Final

ODATA_OPERATORS: Final = frozenset({"in", "has", "add", "sub", "mul", "div", "divby", "mod"})

_ODATA: Final = """
cast ceiling concat date day floor fractionalseconds geo.distance geo.intersects geo.length hour indexof isof
length maxdatetime mindatetime minute month now round second substring substringof time tolower totaloffsetminutes
totalseconds toupper trim year
"""
ODATA_FUNCTIONS: Final = frozenset(_ODATA.split())

_DATAVERSE: Final = """
Above AboveOrEqual Between ContainValues Contains DoesNotContainValues EqualBusinessId EqualUserId
EqualUserLanguage EqualUserOrUserHierarchy EqualUserOrUserHierarchyAndTeams EqualUserOrUserTeams EqualUserTeams In
InFiscalPeriod InFiscalPeriodAndYear InFiscalYear InOrAfterFiscalPeriodAndYear InOrBeforeFiscalPeriodAndYear
Last7Days LastFiscalPeriod LastFiscalYear LastMonth LastWeek LastXDays LastXFiscalPeriods LastXFiscalYears
LastXHours LastXMonths LastXWeeks LastXYears LastYear Next7Days NextFiscalPeriod NextFiscalYear NextMonth NextWeek
NextXDays NextXFiscalPeriods NextXFiscalYears NextXHours NextXMonths NextXWeeks NextXYears NextYear NotBetween
NotEqualBusinessId NotEqualUserId NotIn NotUnder OlderThanXDays OlderThanXHours OlderThanXMinutes OlderThanXMonths
OlderThanXWeeks OlderThanXYears On OnOrAfter OnOrBefore ThisFiscalPeriod ThisFiscalYear ThisMonth ThisWeek
ThisYear Today Tomorrow Under UnderOrEqual Yesterday
"""
DATAVERSE_FUNCTIONS: Final = frozenset(_DATAVERSE.split())
"""The query functions of Microsoft's filter page, without their namespace."""
