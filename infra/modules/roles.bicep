// The roles of the app, each at the smallest scope that works. GUIDs: docs/reference/azure.md 5.

@description('Name of the app\'s identity; with it an assignment keeps its own name in every deployment.')
param identityName string

@description('Object id of the app\'s identity.')
param principalId string

@description('Object id of the identity of the package.')
param packagePrincipalId string

@description('Name of the identity of the package.')
param packageIdentityName string

@description('Storage account of the platform.')
param hostStorageName string

@description('Storage account of state and package.')
param stateStorageName string

@description('Container of the package.')
param packageContainer string

@description('Application Insights component.')
param insightsName string

@description('Event Hubs namespace; empty when there is none.')
param eventHubsName string

@description('Durable Task Scheduler and its task hub; empty when there is none.')
param scheduler { name: string, taskHub: string }

@description('Key Vault; empty when there is none.')
param vaultName string

var roles = {
  blobDataOwner: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b' // host locks, keys and timers, durable leases
  blobDataContributor: 'ba92f5b4-2d11-453d-a403-e96b0029c9fe' // the package
  queueDataContributor: '974c5e8b-45b9-4653-ba55-5f855dd0fb88' // Durable Functions
  tableDataContributor: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3' // Durable Functions and the linker's state
  monitoringMetricsPublisher: '3913510d-42f4-4e42-8a64-420c390055eb'
  eventHubsDataReceiver: 'a638d3c7-ab3a-418d-83e6-5f17a39d4fde'
  durableTaskDataContributor: '0ad04412-c4d5-4796-b79c-f76d14c8d402'
  keyVaultSecretsUser: '4633458b-17de-408a-b874-0445c86b69e6'
}

resource hostStorage 'Microsoft.Storage/storageAccounts@2026-04-01' existing = {
  name: hostStorageName
}

resource stateStorage 'Microsoft.Storage/storageAccounts@2026-04-01' existing = {
  name: stateStorageName

  resource blobs 'blobServices' existing = {
    name: 'default'

    resource package 'containers' existing = {
      name: packageContainer
    }
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

resource eventHubs 'Microsoft.EventHub/namespaces@2026-01-01' existing = if (!empty(eventHubsName)) {
  name: eventHubsName
}

resource taskHub 'Microsoft.DurableTask/schedulers/taskHubs@2026-02-01' existing = if (!empty(scheduler.name)) {
  name: '${scheduler.name}/${scheduler.taskHub}'
}

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' existing = if (!empty(vaultName)) {
  name: vaultName
}

// The platform keeps its locks, queues and tables under names of its own, so these three reach its whole account.
resource hostStorageRoles 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for role in [roles.blobDataOwner, roles.queueDataContributor, roles.tableDataContributor]: {
    scope: hostStorage
    name: guid(hostStorage.id, identityName, role)
    properties: {
      principalId: principalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', role)
    }
  }
]

// On the account, since the app creates a table that is missing.
resource stateRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: stateStorage
  name: guid(stateStorage.id, identityName, roles.tableDataContributor)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.tableDataContributor)
  }
}

// The identity that the code signs in with has no role here, so a token of it cannot replace the code.
resource packageRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: stateStorage::blobs::package
  name: guid(stateStorage::blobs::package.id, packageIdentityName, roles.blobDataContributor)
  properties: {
    principalId: packagePrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.blobDataContributor)
  }
}

resource insightsRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: insights
  name: guid(insights.id, identityName, roles.monitoringMetricsPublisher)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles.monitoringMetricsPublisher
    )
  }
}

// On the namespace: its hubs are made by Customer Insights later, when Diagnostics is saved there.
resource eventHubsRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(eventHubsName)) {
  scope: eventHubs
  name: guid(eventHubs.id, identityName, roles.eventHubsDataReceiver)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.eventHubsDataReceiver)
  }
}

resource taskHubRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(scheduler.name)) {
  scope: taskHub
  name: guid(taskHub.id, identityName, roles.durableTaskDataContributor)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId(
      'Microsoft.Authorization/roleDefinitions',
      roles.durableTaskDataContributor
    )
  }
}

resource vaultRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (!empty(vaultName)) {
  scope: vault
  name: guid(vault.id, identityName, roles.keyVaultSecretsUser)
  properties: {
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roles.keyVaultSecretsUser)
  }
}
