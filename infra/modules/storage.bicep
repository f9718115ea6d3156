// Storage of the platform (host, Durable Functions, the deployment package) and of the linker's state.

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

@description('Container that the deployment package is kept in; one for each app.')
param packageContainer string

@description('Only private endpoints reach the account.')
param privateNetwork bool

@description('Resource id of the workspace for diagnostics.')
param workspaceId string

var softDeleteDays = 7
var tables = ['linkeraudit', 'linkererrors', 'linkerhashes', 'linkerstatus']

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

resource blobs 'Microsoft.Storage/storageAccounts/blobServices@2026-04-01' = {
  parent: account
  name: 'default'
  properties: {
    deleteRetentionPolicy: { enabled: true, days: softDeleteDays }
    containerDeleteRetentionPolicy: { enabled: true, days: softDeleteDays }
  }
}

resource package 'Microsoft.Storage/storageAccounts/blobServices/containers@2026-04-01' = {
  parent: blobs
  name: packageContainer
  properties: { publicAccess: 'None' }
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices@2026-04-01' = {
  parent: account
  name: 'default'
}

resource tableService 'Microsoft.Storage/storageAccounts/tableServices@2026-04-01' = {
  parent: account
  name: 'default'
}

resource stateTables 'Microsoft.Storage/storageAccounts/tableServices/tables@2026-04-01' = [
  for table in tables: {
    parent: tableService
    name: table
  }
]

// Reads are left out: Durable Functions polls its queues without rest, and that would be most of what is logged.
var logs = [for category in ['StorageWrite', 'StorageDelete']: { category: category, enabled: true }]

#disable-next-line use-recent-api-versions // the newest that is deployed everywhere; the rule proposes one from 2016
resource blobDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: blobs
  name: 'linker'
  properties: { workspaceId: workspaceId, logs: logs, metrics: [{ category: 'Transaction', enabled: true }] }
}

#disable-next-line use-recent-api-versions // as above
resource queueDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: queues
  name: 'linker'
  properties: { workspaceId: workspaceId, logs: logs, metrics: [{ category: 'Transaction', enabled: true }] }
}

#disable-next-line use-recent-api-versions // as above
resource tableDiagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  scope: tableService
  name: 'linker'
  properties: { workspaceId: workspaceId, logs: logs, metrics: [{ category: 'Transaction', enabled: true }] }
}

@description('Resource id of the account.')
output id string = account.id

@description('Addresses of the account.')
output endpoints { blob: string, queue: string, table: string } = {
  blob: account.properties.primaryEndpoints.blob
  queue: account.properties.primaryEndpoints.queue
  table: account.properties.primaryEndpoints.table
}
