// Durable Task Scheduler, for those who outgrow Azure Storage as the backend of Durable Functions (docs/reference/azure.md 3).

@description('Name of the scheduler.')
param name string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Name of the task hub.')
param taskHubName string

resource scheduler 'Microsoft.DurableTask/schedulers@2026-02-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    ipAllowlist: ['0.0.0.0/0'] // Flex Consumption has no fixed addresses; only identities with a role get in
    sku: { name: 'Consumption' } // pays by action; a dedicated unit is for hundreds of actions a second, all day
  }
}

resource taskHub 'Microsoft.DurableTask/schedulers/taskHubs@2026-02-01' = {
  parent: scheduler
  name: taskHubName
}

resource retention 'Microsoft.DurableTask/schedulers/retentionPolicies@2026-02-01' = {
  parent: scheduler
  name: 'default'
  properties: { retentionPolicies: [{ retentionPeriodInDays: 14 }] }
}

@description('Where workers connect to.')
output endpoint string = scheduler.properties.endpoint
