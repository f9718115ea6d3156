// Alert rules over what the app logs (demand D27). Each is stateful: one message when it fires and one when it is over.

@description('Start of the rule names.')
param namePrefix string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Workspace that the queries read.')
param workspaceId string

@description('Addresses that alerts are mailed to.')
param emails string[]

@description('Rows that may be rejected in a table.')
param rejectedRows int

@description('Per cent by which a table\'s row count may differ from its last run.')
param rowsPercent int

@description('Hours after which a run counts as too long.')
param runHours int

var rules = [
  {
    name: 'permanent-failure'
    title: 'The last linking run failed for good'
    severity: 1
    query: loadTextContent('queries/permanent-failure.kql')
    days: 'P2D'
    dimensions: []
  }
  {
    name: 'rejected-rows'
    title: 'Rows of a table are rejected'
    severity: 2
    query: replace(loadTextContent('queries/rejected-rows.kql'), 'REJECTED_ROWS', string(rejectedRows))
    days: 'P2D'
    dimensions: ['table']
  }
  {
    name: 'full-run'
    title: 'A full run happened'
    severity: 4
    query: loadTextContent('queries/full-run.kql')
    days: 'P1D'
    dimensions: ['run', 'reason']
  }
  {
    name: 'rows-deviate'
    title: 'A table has many more or fewer rows than in its last run'
    severity: 2
    query: replace(loadTextContent('queries/rows-deviate.kql'), 'ROWS_PERCENT', string(rowsPercent))
    days: 'P2D'
    dimensions: ['table']
  }
  {
    name: 'run-too-long'
    title: 'A linking run takes too long'
    severity: 2
    query: replace(loadTextContent('queries/run-too-long.kql'), 'RUN_HOURS', string(runHours))
    days: 'P2D'
    dimensions: []
  }
  {
    name: 'no-run'
    title: 'No linking run has ended in a day'
    severity: 2
    query: loadTextContent('queries/no-run.kql')
    days: 'P1D'
    dimensions: []
  }
]

resource mail 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(emails)) {
  name: 'ag-${namePrefix}'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: take(namePrefix, 12)
    emailReceivers: [
      for (address, index) in emails: { name: 'mail${index}', emailAddress: address, useCommonAlertSchema: true }
    ]
  }
}

resource alerts 'Microsoft.Insights/scheduledQueryRules@2026-03-01' = [
  for rule in rules: {
    name: '${namePrefix}-${rule.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: rule.title
      description: 'What to do: docs/operations.md, alert ${rule.name}.'
      enabled: true
      severity: rule.severity
      scopes: [workspaceId]
      evaluationFrequency: 'PT15M'
      windowSize: 'P1D'
      overrideQueryTimeRange: rule.days == 'P1D' ? null : rule.days // the run before may be older than a day
      autoMitigate: true
      skipQueryValidation: true // the tables are empty until the app has logged something
      criteria: {
        allOf: [
          {
            query: rule.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            dimensions: [for name in rule.dimensions: { name: name, operator: 'Include', values: ['*'] }]
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: { actionGroups: empty(emails) ? [] : [mail.id] }
    }
  }
]
