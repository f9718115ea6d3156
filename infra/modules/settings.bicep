// The app settings. Names of the linker's own settings are held against local.settings.sample.json, which lists them all.

@description('Name of the app.')
param appName string

@description('Client id of the app\'s identity.')
param clientId string

@description('Addresses of the storage account of the platform.')
param endpoints { blob: string, queue: string, table: string }

@description('Address of the tables that hold the state.')
param stateTables string

@description('Where telemetry is sent to; opens nothing, since local authentication is off.')
param connectionString string

@description('The Dataverse environment.')
param dataverseUrl string

@description('Base URL of the Customer Insights API, or empty.')
param insightsUrl string

@description('Instance id in Customer Insights - Data, or empty.')
param insightsInstanceId string

@description('Key Vault that holds the subscription key as secret insights-key, or empty.')
param vaultName string

@description('Workspace that keeps the telemetry: the status page links there.')
param workspaceId string

@description('Event Hubs namespace to listen to; empty leaves the trigger off, for its hub exists only once Customer Insights made it.')
param eventHubsName string

@description('Durable Functions runs on the Durable Task Scheduler.')
param schedulerOn bool

@description('Endpoint of the Durable Task Scheduler, or empty.')
param schedulerEndpoint string

@description('App Service Authentication is on.')
param authenticationOn bool

@description('More settings of the linker; they win over what is computed here.')
param linkerSettings { *: string }

var sample = loadJsonContent('../../local.settings.sample.json').Values
var known = objectKeys(sample)
var unknown = filter(objectKeys(linkerSettings), name => !contains(known, name) || !startsWith(name, 'LINKER_'))
// Everyone who may read a deployment or the app can read its settings, so a secret stands there as a reference.
var open = filter(
  ['LINKER_INSIGHTS_KEY', 'LINKER_STORAGE'],
  name => !empty(linkerSettings[?name]) && !startsWith(linkerSettings[?name] ?? '', '@Microsoft.KeyVault(')
)
var checked = !empty(unknown)
  ? fail('There is no setting ${join(unknown, ', ')}: docs/settings.md lists them all. Nothing was deployed.')
  : empty(open)
      ? linkerSettings
      : fail('${join(open, ', ')} is a secret: give a reference, @Microsoft.KeyVault(...), or see insightsKeyInVault. Nothing was deployed.')

var platform = {
  AzureWebJobsStorage__blobServiceUri: endpoints.blob
  AzureWebJobsStorage__queueServiceUri: endpoints.queue
  AzureWebJobsStorage__tableServiceUri: endpoints.table
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: clientId
  FUNCTIONS_REQUEST_BODY_SIZE_LIMIT: '1048576' // bytes; the app itself takes less, and 100 MB would be read before it can refuse
}

var telemetry = {
  APPLICATIONINSIGHTS_CONNECTION_STRING: connectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${clientId};Authorization=AAD'
  PYTHON_APPLICATIONINSIGHTS_ENABLE_TELEMETRY: 'true'
  OTEL_METRIC_EXPORT_INTERVAL: '300000' // ms; each export has the performance counters of its process, which no query reads
  APPLICATIONINSIGHTS_OPENTELEMETRY_RESOURCE_METRIC_DISABLED: 'true' // one more item with each export of spans
  PYTHON_APPLICATIONINSIGHTS_LOGGER_NAME: 'linker' // other libraries log addresses with row keys in them
  // Requests to Dataverse have spans of the linker's own, without query and keys; the automatic ones would carry both.
  OTEL_PYTHON_DISABLED_INSTRUMENTATIONS: 'azure_sdk,django,fastapi,flask,httpx,psycopg2,requests,urllib,urllib3'
}

var linker = {
  LINKER_DATAVERSE_URL: dataverseUrl
  LINKER_STORAGE__tableServiceUri: stateTables
  LINKER_CLIENT_ID: clientId
  LINKER_WORKSPACE_ID: workspaceId
}

// The host reads the timers' schedules from here, so they have to stand here although the linker knows their defaults.
var schedules = union(
  { LINKER_WATCHDOG_SCHEDULE: '0 * * * * *' },
  toObject(
    filter(items(sample), setting => endsWith(setting.key, '_SCHEDULE') && !empty(setting.value)),
    setting => setting.key,
    setting => setting.value
  )
)

var insights = empty(insightsUrl)
  ? {}
  : { LINKER_INSIGHTS_URL: insightsUrl, LINKER_INSIGHTS_INSTANCE_ID: insightsInstanceId }

var insightsKey = empty(vaultName)
  ? {}
  : { LINKER_INSIGHTS_KEY: '@Microsoft.KeyVault(VaultName=${vaultName};SecretName=insights-key)' }

var eventHubs = empty(eventHubsName)
  ? {}
  : {
      LINKER_EVENTS__fullyQualifiedNamespace: '${eventHubsName}.servicebus.windows.net'
      LINKER_EVENTS__credential: 'managedidentity'
      LINKER_EVENTS__clientId: clientId
    }

var scheduler = schedulerOn
  ? {
      DURABLE_TASK_SCHEDULER_CONNECTION_STRING: 'Endpoint=${schedulerEndpoint};Authentication=ManagedIdentity;ClientID=${clientId}'
    }
  : {}

var authentication = authenticationOn ? { OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID: clientId } : {}

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  name: appName
}

// The whole list: Azure deletes what is not in it.
resource settings 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: app
  name: 'appsettings'
  properties: union(
    platform,
    telemetry,
    linker,
    schedules,
    insights,
    insightsKey,
    eventHubs,
    scheduler,
    authentication,
    checked
  )
}
