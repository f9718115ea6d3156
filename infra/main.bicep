// Everything that the customer profile linker needs in one resource group, without a key anywhere. docs/deploy.md walks through it.
targetScope = 'resourceGroup'

// ---- what it is ----

@description('Start of every resource name: lower case letters and digits.')
@minLength(3)
@maxLength(11)
param namePrefix string = 'linker'

@description('Azure region; Flex Consumption with Python 3.13 must be offered there.')
@metadata({ azd: { type: 'location' } })
param location string = resourceGroup().location

@description('Tags of every resource.')
param tags object = {}

@description('The Dataverse environment to write to, such as https://contoso.crm4.dynamics.com.')
param dataverseUrl string

@description('More settings of the linker by name (docs/settings.md), such as { LINKER_WIDTH: \'8\' }. A name that does not exist fails.')
param linkerSettings { *: string } = {}

// ---- Customer Insights ----

@description('Base URL of the Customer Insights API; empty works from Dataverse alone.')
param insightsUrl string = ''

@description('Instance id in Customer Insights - Data; needed with its URL.')
param insightsInstanceId string = ''

@description('Create a Key Vault for the subscription key of the Customer Insights API, and refer to its secret insights-key.')
param insightsKeyInVault bool = false

@description('Event Hubs for the diagnostics of Customer Insights: none, the namespace alone (Customer Insights creates the hubs when Diagnostics is saved), or listening to the hub.')
@allowed(['Off', 'Namespace', 'Listening'])
param events string = 'Off'

@description('Let the Event Hubs namespace take shared keys: only where diagnostics do not arrive without.')
param eventsSharedKeys bool = false

// ---- how it runs ----

@description('Memory of one instance in MB.')
@allowed([512, 2048, 4096])
param instanceMemoryMb int = 2048

@description('Most instances at once. The width of a run bounds the load on Dataverse, not this.')
@minValue(1)
@maxValue(1000)
param maximumInstances int = 40

@description('Instances that wait for orchestrators and activities; 0 pays nothing and starts cold.')
@minValue(0)
@maxValue(10)
param alwaysReadyInstances int = 1

@description('Requests that one instance serves at the same time.')
@minValue(1)
@maxValue(1000)
param httpConcurrency int = 16

@description('How instances are replaced when a package is deployed. Recreate ends what is in flight; it starts again by itself.')
@allowed(['Recreate', 'RollingUpdate'])
param updateStrategy string = 'Recreate'

@description('Spread the app over availability zones; needs two instances that are always ready.')
param zoneRedundant bool = false

@description('Backend of Durable Functions. The package must carry the matching host.json: make package BACKEND=...')
@allowed(['AzureStorage', 'DurableTaskScheduler'])
param durableBackend string = 'AzureStorage'

@description('Address of a published package to put into the app; empty leaves that to scripts/publish or azd.')
param packageUrl string = ''

// ---- who gets in ----

@description('Client id of the app registration for App Service Authentication; empty leaves function keys as the only way in.')
param authClientId string = ''

@description('Reach storage through private endpoints only, with a network for the app.')
param privateNetwork bool = false

@description('Address space of that network; at least a /24.')
param networkPrefix string = '10.40.0.0/24'

@description('Resource id of a NAT gateway for that network: one outgoing address, where a firewall before Dataverse asks for it; empty leaves that to the platform.')
param natGatewayId string = ''

// ---- storage and monitoring ----

@description('Replication of the storage accounts. Auto spreads over zones where the region has them (Standard_ZRS), and is Standard_LRS elsewhere.')
@allowed(['Auto', 'Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param storageSku string = 'Auto'

@description('Keep the account of the state from being deleted, until the lock is.')
param lockState bool = false

@description('Budget of the resource group a month, in the currency of the subscription; 0 sets none. It mails, and stops nothing.')
@minValue(0)
param monthlyBudget int = 0

@description('First day of the month that the budget begins with, such as 2027-01-01: the current month when it is first deployed, and the same later.')
param budgetStart string = ''

@description('Days that logs are kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Most GB of logs a day.')
@minValue(1)
@maxValue(100)
param logDailyCapGb int = 1

@description('Send the log of the host on a second way, FunctionAppLogs. It doubles what Application Insights has; for a time in which nothing arrives there.')
param hostLogs bool = false

@description('Addresses that alerts are mailed to. Without any receiver the rules only show in the portal.')
param alertEmails string[] = []

@description('Addresses of Teams channels that alerts are posted to: in Teams, the channel\'s menu > Get email address.')
param alertTeamsChannels string[] = []

@description('Address that alerts are posted to, in the common alert schema; it may hold a key.')
@secure()
param alertWebhookUrl string = ''

@description('Where docs/operations.md is published for those who get the alerts; empty names the file.')
param alertRunbook string = ''

@description('Rows that may be rejected in a table before an alert is raised.')
@minValue(0)
param alertRejectedRows int = 0

@description('Per cent by which a table\'s row count may differ from its last run before an alert is raised.')
@minValue(1)
@maxValue(100)
param alertRowsPercent int = 20

@description('Hours after which a run counts as too long. The rule reads two days, so above a day it could hardly ever fire.')
@minValue(1)
@maxValue(24)
param alertRunHours int = 6

// ---- names ----

var suffix = uniqueString(resourceGroup().id, namePrefix)
var appName = 'func-${namePrefix}-${suffix}'
var identityName = 'id-${namePrefix}-${suffix}'
var workspaceName = 'log-${namePrefix}-${suffix}'
var insightsName = 'appi-${namePrefix}-${suffix}'
var packageIdentityName = 'id-${namePrefix}-package-${suffix}'
var hostStorageName = take('sth${namePrefix}${suffix}', 24)
var stateStorageName = take('sts${namePrefix}${suffix}', 24)
var eventHubsName = 'evhns-${namePrefix}-${suffix}'
var schedulerName = 'dts-${namePrefix}-${suffix}'
var vaultName = take('kv-${namePrefix}-${suffix}', 24)
var packageContainer = 'app-package-${take(appName, 32)}-${take(suffix, 7)}'
var allTags = union(tags, { app: 'customer-profile-linker' })
var taskHubName = 'linker' // as in host.json
var schedulerOn = durableBackend == 'DurableTaskScheduler'
var eventsOn = events != 'Off'
var authenticationOn = !empty(authClientId)

// Regions with availability zones where Flex Consumption is offered. A region that is not here yet gets LRS with 'Auto'.
var zonalRegions = loadJsonContent('zonal-regions.json')
var hasZones = contains(zonalRegions, toLower(replace(location, ' ', '')))
var spreads = !zoneRedundant || hasZones
  ? zoneRedundant
  : fail('zoneRedundant needs availability zones, and ${location} has none. Choose another region. Nothing was deployed.')
var sku = storageSku != 'Auto' ? storageSku : hasZones ? 'Standard_ZRS' : 'Standard_LRS'
var begins = monthlyBudget == 0 || !empty(budgetStart)
  ? budgetStart
  : fail('monthlyBudget needs budgetStart, the first day of a month such as 2027-01-01. Nothing was deployed.')

// ---- resources ----

module identity 'modules/identity.bicep' = {
  params: { name: identityName, location: location, tags: allTags }
}

module packageIdentity 'modules/identity.bicep' = {
  params: { name: packageIdentityName, location: location, tags: allTags }
}

module monitoring 'modules/monitoring.bicep' = {
  params: {
    workspaceName: workspaceName
    insightsName: insightsName
    location: location
    tags: allTags
    retentionDays: logRetentionDays
    dailyCapGb: logDailyCapGb
  }
}

// Logs of the platform's account leave out what Durable Functions does without a rest: it renews leases (blobs and tables) and
// polls queues, tens of thousands of times a day. What is deleted there is logged.
module hostStorage 'modules/storage.bicep' = {
  params: {
    name: hostStorageName
    location: location
    tags: allTags
    sku: sku
    containers: []
    tables: []
    blobLogs: ['StorageDelete']
    queueLogs: []
    tableLogs: ['StorageDelete']
    privateNetwork: privateNetwork
    locked: false
    workspaceId: monitoring.outputs.workspaceId
  }
}

// Who read or changed state or package is logged in full: nothing there happens without a reason.
module stateStorage 'modules/storage.bicep' = {
  params: {
    name: stateStorageName
    location: location
    tags: allTags
    sku: sku
    containers: [packageContainer]
    tables: ['linkeraudit', 'linkererrors', 'linkerhashes', 'linkerstaging', 'linkerstatus']
    blobLogs: ['StorageRead', 'StorageWrite', 'StorageDelete']
    queueLogs: []
    tableLogs: ['StorageRead', 'StorageWrite', 'StorageDelete']
    privateNetwork: privateNetwork
    locked: lockState
    workspaceId: monitoring.outputs.workspaceId
  }
}

module network 'modules/network.bicep' = if (privateNetwork) {
  params: {
    name: 'vnet-${namePrefix}-${suffix}'
    location: location
    tags: allTags
    addressPrefix: networkPrefix
    natGatewayId: natGatewayId
    endpoints: [
      { name: 'blob', account: hostStorageName, service: 'blob' }
      { name: 'queue', account: hostStorageName, service: 'queue' }
      { name: 'table', account: hostStorageName, service: 'table' }
      { name: 'package', account: stateStorageName, service: 'blob' }
      { name: 'state', account: stateStorageName, service: 'table' }
    ]
  }
  dependsOn: [hostStorage, stateStorage]
}

module eventHubs 'modules/events.bicep' = if (eventsOn) {
  params: {
    name: eventHubsName
    location: location
    tags: allTags
    hubExists: events == 'Listening'
    sharedKeys: eventsSharedKeys
    workspaceId: monitoring.outputs.workspaceId
  }
}

module scheduler 'modules/scheduler.bicep' = if (schedulerOn) {
  params: { name: schedulerName, location: location, tags: allTags, taskHubName: taskHubName }
}

module vault 'modules/vault.bicep' = if (insightsKeyInVault) {
  params: {
    name: vaultName
    location: location
    tags: allTags
    workspaceId: monitoring.outputs.workspaceId
  }
}

// Named by what is known before anything is deployed, so that what-if and the snapshots show every assignment.
module roles 'modules/roles.bicep' = {
  params: {
    identityName: identityName
    principalId: identity.outputs.principalId
    packageIdentityName: packageIdentityName
    packagePrincipalId: packageIdentity.outputs.principalId
    hostStorageName: hostStorageName
    stateStorageName: stateStorageName
    packageContainer: packageContainer
    insightsName: insightsName
    eventHubsName: eventsOn ? eventHubsName : ''
    scheduler: schedulerOn ? { name: schedulerName, taskHub: taskHubName } : { name: '', taskHub: '' }
    vaultName: insightsKeyInVault ? vaultName : ''
  }
  dependsOn: [hostStorage, stateStorage, monitoring, eventHubs, scheduler, vault]
}

module app 'modules/app.bicep' = {
  params: {
    planName: 'plan-${namePrefix}-${suffix}'
    appName: appName
    location: location
    tags: allTags
    identityId: identity.outputs.id
    packageIdentityId: packageIdentity.outputs.id
    packageUrl: '${stateStorage.outputs.endpoints.blob}${packageContainer}'
    instanceMemoryMb: instanceMemoryMb
    maximumInstances: maximumInstances
    alwaysReadyInstances: spreads ? max(alwaysReadyInstances, 2) : alwaysReadyInstances
    httpConcurrency: httpConcurrency
    zoneRedundant: spreads
    updateStrategy: updateStrategy
    subnetId: privateNetwork ? network!.outputs.appSubnetId : null
    hostLogs: hostLogs
    workspaceId: monitoring.outputs.workspaceId
  }
  dependsOn: [roles] // the host reads its storage as soon as it starts
}

module settings 'modules/settings.bicep' = {
  params: {
    appName: appName
    clientId: identity.outputs.clientId
    endpoints: hostStorage.outputs.endpoints
    stateTables: stateStorage.outputs.endpoints.table
    connectionString: monitoring.outputs.connectionString
    dataverseUrl: dataverseUrl
    workspaceId: resourceId('Microsoft.OperationalInsights/workspaces', workspaceName)
    insightsUrl: insightsUrl
    insightsInstanceId: insightsInstanceId
    vaultName: insightsKeyInVault ? vaultName : ''
    eventHubsName: events == 'Listening' ? eventHubsName : ''
    schedulerOn: schedulerOn
    schedulerEndpoint: schedulerOn ? scheduler!.outputs.endpoint : ''
    authenticationOn: authenticationOn
    linkerSettings: linkerSettings
  }
  dependsOn: [app]
}

module package 'modules/package.bicep' = if (!empty(packageUrl)) {
  params: { appName: appName, packageUrl: packageUrl }
  dependsOn: [settings]
}

module authentication 'modules/authentication.bicep' = if (authenticationOn) {
  params: {
    appName: appName
    clientId: authClientId
    tenantId: tenant().tenantId
    assertionSetting: 'OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID'
  }
  dependsOn: [app]
}

module workbook 'monitoring/workbook.bicep' = {
  params: { location: location, tags: allTags, workspaceName: workspaceName }
  dependsOn: [monitoring]
}

module alerts 'monitoring/alerts.bicep' = {
  params: {
    namePrefix: namePrefix
    location: location
    tags: allTags
    workspaceId: monitoring.outputs.workspaceId
    emails: concat(alertEmails, alertTeamsChannels)
    webhookUrl: alertWebhookUrl
    statusPage: 'https://${appName}.azurewebsites.net/api/portal'
    runbook: alertRunbook
    rejectedRows: alertRejectedRows
    rowsPercent: alertRowsPercent
    runHours: alertRunHours
  }
}

module budget 'modules/budget.bicep' = if (monthlyBudget > 0) {
  params: { name: 'budget-${namePrefix}', amount: monthlyBudget, start: begins, emails: alertEmails }
}

@description('Name of the app: what a package is deployed to.')
output appName string = appName

@description('Where the app answers.')
output appUrl string = 'https://${app.outputs.hostName}'

@description('Client id of the app\'s identity: the application user in Dataverse.')
output identityClientId string = identity.outputs.clientId

@description('Object id of the app\'s identity.')
output identityPrincipalId string = identity.outputs.principalId

@description('Key Vault that the subscription key belongs into, as secret insights-key; empty when there is none.')
output vaultName string = insightsKeyInVault ? vaultName : ''

@description('Event Hubs namespace to name in Customer Insights under Settings > System > Diagnostics; empty when there is none.')
output eventHubsNamespace string = eventsOn ? eventHubsName : ''
