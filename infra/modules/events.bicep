// Event Hubs namespace for the diagnostics of Customer Insights, which creates the hubs itself (docs/reference/customer-insights.md 4).

@description('Name of the namespace.')
param name string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Customer Insights has created the hub, so that the consumer group can be made in it.')
param hubExists bool

@description('Take shared keys beside identities.')
param sharedKeys bool

@description('Resource id of the workspace for diagnostics.')
param workspaceId string

var hubName = 'insight-logs-operational' // the name that Customer Insights gives it
var consumerGroup = 'linker'

resource namespace 'Microsoft.EventHub/namespaces@2026-01-01' = {
  name: name
  location: location
  tags: tags
  sku: { name: 'Standard', tier: 'Standard', capacity: 1 } // Basic knows no consumer group of one's own
  properties: {
    disableLocalAuth: !sharedKeys
    minimumTlsVersion: '1.2'
    publicNetworkAccess: 'Enabled' // Customer Insights sends from outside
  }
}

resource hub 'Microsoft.EventHub/namespaces/eventhubs@2026-01-01' existing = if (hubExists) {
  parent: namespace
  name: hubName
}

resource group 'Microsoft.EventHub/namespaces/eventhubs/consumergroups@2026-01-01' = if (hubExists) {
  parent: hub
  name: consumerGroup
}

#disable-next-line use-recent-api-versions // the newest that is deployed everywhere; the rule proposes one from 2016
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: namespace
  name: 'linker'
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'OperationalLogs', enabled: true }]
  }
}
