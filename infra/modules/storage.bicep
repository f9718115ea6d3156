// A storage account without keys. There are two: one for the platform (host locks and keys, Durable Functions), one for what is
// the app's own (its state in tables, its package in a container). So each can have its own roles, logs and lock.

@description('Name of the storage account: 3 to 24 lower case letters and digits.')
@minLength(3)
@maxLength(24)
param name string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Replication of the account.')
param sku string

@description('Containers to create.')
param containers string[]

@description('Tables to create.')
param tables string[]

@description('Log categories of the blob service; empty logs nothing of it.')
param blobLogs string[]

@description('Log categories of the queue service; empty logs nothing of it.')
param queueLogs string[]

@description('Log categories of the table service; empty logs nothing of it.')
param tableLogs string[]

@description('Only private endpoints reach the account.')
param privateNetwork bool

@description('Keep the account from being deleted, until the lock is.')
param locked bool

@description('Resource id of the workspace for diagnostics.')
param workspaceId string

var softDeleteDays = 7

resource account 'Microsoft.Storage/storageAccounts@2026-04-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: { name: sku }
  properties: {
    accessTier: 'Hot'
    allowSharedKeyAccess: false
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: privateNetwork ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: privateNetwork ? 'Deny' : 'Allow' // without a network of its own the app has no fixed address to allow
    }
  }
}

resource lock 'Microsoft.Authorization/locks@2020-05-01' = if (locked) {
  scope: account
  name: 'linker'
  properties: { level: 'CanNotDelete', notes: 'Holds the state of the customer profile linker, its audit among it.' }
}

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2026-04-01' = {
  parent: account
  name: 'default'
  properties: {
    deleteRetentionPolicy: { enabled: true, days: softDeleteDays }
    containerDeleteRetentionPolicy: { enabled: true, days: softDeleteDays }
  }

  resource ours 'containers' = [
    for container in containers: {
      name: container
      properties: { publicAccess: 'None' }
    }
  ]
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices@2026-04-01' = {
  parent: account
  name: 'default'
}

resource tableService 'Microsoft.Storage/storageAccounts/tableServices@2026-04-01' = {
  parent: account
  name: 'default'

  resource ours 'tables' = [
    for table in tables: {
      name: table
    }
  ]
}

#disable-next-line use-recent-api-versions // the newest that is deployed everywhere; the rule proposes one from 2016
resource blobDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(blobLogs)) {
  scope: blobs
  name: 'linker'
  properties: { workspaceId: workspaceId, logs: map(blobLogs, category => { category: category, enabled: true }) }
}

#disable-next-line use-recent-api-versions // as above
resource queueDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(queueLogs)) {
  scope: queues
  name: 'linker'
  properties: { workspaceId: workspaceId, logs: map(queueLogs, category => { category: category, enabled: true }) }
}

#disable-next-line use-recent-api-versions // as above
resource tableDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (!empty(tableLogs)) {
  scope: tableService
  name: 'linker'
  properties: { workspaceId: workspaceId, logs: map(tableLogs, category => { category: category, enabled: true }) }
}

@description('Addresses of the account.')
output endpoints { blob: string, queue: string, table: string } = {
  blob: account.properties.primaryEndpoints.blob
  queue: account.properties.primaryEndpoints.queue
  table: account.properties.primaryEndpoints.table
}
