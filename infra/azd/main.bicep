// Written by `make templates` from infra/main.bicep. Change that one. It adds the resource group, for `azd up`.
targetScope = 'subscription'

@description('Name of the azd environment; the resource group is rg-<name>.')
param environmentName string

@description('Start of every resource name: lower case letters and digits.')
@minLength(3)
@maxLength(11)
param namePrefix string = 'linker'

@description('Azure region; Flex Consumption with Python 3.13 must be offered there.')
@metadata({ azd: { type: 'location' } })
param location string

@description('Tags of every resource.')
param tags object = {}

@description('The Dataverse environment to write to, such as https://contoso.crm4.dynamics.com.')
param dataverseUrl string

@description('More settings of the linker by name (docs/settings.md), such as { LINKER_WIDTH: \'8\' }. A name that does not exist fails.')
param linkerSettings { *: string } = {}

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

@description('Client id of the app registration for App Service Authentication; empty leaves function keys as the only way in.')
param authClientId string = ''

@description('Reach storage through private endpoints only, with a network for the app.')
param privateNetwork bool = false

@description('Address space of that network; at least a /24.')
param networkPrefix string = '10.40.0.0/24'

@description('Resource id of a NAT gateway for that network: one outgoing address, where a firewall before Dataverse asks for it; empty leaves that to the platform.')
param natGatewayId string = ''

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

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module linker '../main.bicep' = {
  scope: group
  params: {
    namePrefix: namePrefix
    location: location
    tags: tags
    dataverseUrl: dataverseUrl
    linkerSettings: linkerSettings
    insightsUrl: insightsUrl
    insightsInstanceId: insightsInstanceId
    insightsKeyInVault: insightsKeyInVault
    events: events
    eventsSharedKeys: eventsSharedKeys
    instanceMemoryMb: instanceMemoryMb
    maximumInstances: maximumInstances
    alwaysReadyInstances: alwaysReadyInstances
    httpConcurrency: httpConcurrency
    updateStrategy: updateStrategy
    zoneRedundant: zoneRedundant
    durableBackend: durableBackend
    packageUrl: packageUrl
    authClientId: authClientId
    privateNetwork: privateNetwork
    networkPrefix: networkPrefix
    natGatewayId: natGatewayId
    storageSku: storageSku
    lockState: lockState
    monthlyBudget: monthlyBudget
    budgetStart: budgetStart
    logRetentionDays: logRetentionDays
    logDailyCapGb: logDailyCapGb
    hostLogs: hostLogs
    alertEmails: alertEmails
    alertTeamsChannels: alertTeamsChannels
    alertWebhookUrl: alertWebhookUrl
    alertRunbook: alertRunbook
    alertRejectedRows: alertRejectedRows
    alertRowsPercent: alertRowsPercent
    alertRunHours: alertRunHours
  }
}

@description('Resource group of the app.')
output AZURE_RESOURCE_GROUP string = group.name

@description('As appName of infra/main.bicep.')
output SERVICE_LINKER_NAME string = linker.outputs.appName

@description('As appUrl of infra/main.bicep.')
output SERVICE_LINKER_URI string = linker.outputs.appUrl

@description('As identityClientId of infra/main.bicep.')
output IDENTITY_CLIENT_ID string = linker.outputs.identityClientId

@description('As identityPrincipalId of infra/main.bicep.')
output IDENTITY_PRINCIPAL_ID string = linker.outputs.identityPrincipalId

@description('As vaultName of infra/main.bicep.')
output VAULT_NAME string = linker.outputs.vaultName

@description('As eventHubsNamespace of infra/main.bicep.')
output EVENT_HUBS_NAMESPACE string = linker.outputs.eventHubsNamespace
