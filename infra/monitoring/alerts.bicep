// Alert rules over what the app logs. Each is stateful: one message when it fires and one when it is over.

@description('Start of the rule names.')
param namePrefix string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Workspace that the queries read.')
param workspaceId string

@description('Addresses that alerts are mailed to: of people, or of Teams channels.')
param emails string[]

@description('Address that alerts are posted to, in the common alert schema; empty posts none.')
@secure()
param webhookUrl string

@description('Where the status page of the app is.')
param statusPage string

@description('Where docs/operations.md is published for those who get the alerts; empty names the file.')
param runbook string

@description('Rows that may be rejected in a table.')
param rejectedRows int

@description('Per cent by which a table\'s row count may differ from its last run.')
param rowsPercent int

@description('Hours after which a run counts as too long.')
param runHours int

// `range`: how far back a query reads. The longest that a rule may read is two days.
var rules = [
  {
    name: 'heartbeat'
    title: 'The app does not run, or its telemetry does not arrive'
    severity: 1
    query: loadTextContent('queries/heartbeat.kql')
    range: 'PT30M'
    dimensions: []
  }
  {
    name: 'permanent-failure'
    title: 'The last linking run failed for good'
    severity: 1
    query: loadTextContent('queries/permanent-failure.kql')
    range: 'P2D'
    dimensions: []
  }
  {
    name: 'rejected-rows'
    title: 'Rows of a table are rejected'
    severity: 2
    query: replace(loadTextContent('queries/rejected-rows.kql'), 'REJECTED_ROWS', string(rejectedRows))
    range: 'P2D'
    dimensions: ['table']
  }
  {
    name: 'full-run'
    title: 'A full run happened'
    severity: 4
    query: loadTextContent('queries/full-run.kql')
    range: 'P1D'
    dimensions: ['link', 'reason']
  }
  {
    name: 'rows-deviate'
    title: 'A table has many more or fewer rows than in its last full scan'
    severity: 2
    query: replace(loadTextContent('queries/rows-deviate.kql'), 'ROWS_PERCENT', string(rowsPercent))
    range: 'P2D'
    dimensions: ['table']
  }
  {
    name: 'run-too-long'
    title: 'A linking run takes too long'
    severity: 2
    query: replace(loadTextContent('queries/run-too-long.kql'), 'RUN_HOURS', '${runHours}h') // a literal: rules take no other
    range: 'P2D'
    dimensions: ['link']
  }
  {
    name: 'no-run'
    title: 'No linking run has completed in 30 hours'
    severity: 2
    query: loadTextContent('queries/no-run.kql')
    range: 'P2D'
    dimensions: []
  }
]

// There without any receiver too: add one in the portal and every rule uses it.
resource receivers 'Microsoft.Insights/actionGroups@2023-01-01' = {
  name: 'ag-${namePrefix}'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: take(namePrefix, 12)
    emailReceivers: [
      for (address, index) in emails: { name: 'mail${index}', emailAddress: address, useCommonAlertSchema: true }
    ]
    webhookReceivers: empty(webhookUrl) ? [] : [{ name: 'webhook', serviceUri: webhookUrl, useCommonAlertSchema: true }]
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
      description: 'Status page: ${statusPage} - what to do: ${empty(runbook) ? 'docs/operations.md' : runbook}, alert ${rule.name}.'
      enabled: true
      severity: rule.severity
      scopes: [workspaceId]
      evaluationFrequency: 'PT15M'
      windowSize: rule.range == 'P2D' ? 'P1D' : rule.range
      overrideQueryTimeRange: rule.range == 'P2D' ? 'P2D' : null // beyond a day, which is the longest window
      autoMitigate: true
      skipQueryValidation: true // the tables are empty until the app has logged something
      criteria: {
        allOf: [
          {
            query: replace(rule.query, 'STATUS_PAGE', statusPage)
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            dimensions: [for name in rule.dimensions: { name: name, operator: 'Include', values: ['*'] }]
            failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
          }
        ]
      }
      actions: {
        actionGroups: [receivers.id]
        customProperties: union(
          { statusPage: statusPage, runbook: empty(runbook) ? 'docs/operations.md' : runbook },
          // The run or the table that the message is about.
          empty(rule.dimensions) ? {} : { about: '\${data.alertContext.condition.allOf[0].dimensions[0].value}' }
        )
      }
    }
  }
]
