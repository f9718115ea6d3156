// The function app on Flex Consumption. Shape: docs/reference/azure.md 6.1.

@description('Name of the plan; one plan holds one app on Flex Consumption.')
param planName string

@description('Name of the app.')
param appName string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Resource id of the app\'s identity.')
param identityId string

@description('Resource id of the identity that reads and writes the package, and nothing else.')
param packageIdentityId string

@description('Container that the deployment package is read from.')
param packageUrl string

@description('Memory of one instance in MB.')
param instanceMemoryMb int

@description('Most instances at once.')
param maximumInstances int

@description('Instances that wait for orchestrators and activities; 0 pays nothing and starts cold.')
param alwaysReadyInstances int

@description('Requests that one instance serves at the same time.')
param httpConcurrency int

@description('Spread the instances over availability zones.')
param zoneRedundant bool

@description('How instances are replaced when a package is deployed.')
param updateStrategy string

@description('Subnet for outgoing traffic, if any.')
param subnetId string?

@description('Send the log of the host on a second way, which does not need Application Insights.')
param hostLogs bool

@description('Resource id of the workspace for diagnostics.')
param workspaceId string

resource plan 'Microsoft.Web/serverfarms@2025-03-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: { reserved: true, zoneRedundant: zoneRedundant }
}

resource app 'Microsoft.Web/sites@2025-03-01' = {
  name: appName
  location: location
  tags: union(tags, { 'azd-service-name': 'linker' })
  kind: 'functionapp,linux'
  identity: { type: 'UserAssigned', userAssignedIdentities: { '${identityId}': {}, '${packageIdentityId}': {} } }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    clientAffinityEnabled: false // every instance reads the same state, so no caller needs the same one again
    publicNetworkAccess: 'Enabled' // Power Automate and people call from outside; App Service Authentication or keys admit them
    keyVaultReferenceIdentity: identityId
    virtualNetworkSubnetId: subnetId
    functionAppConfig: {
      runtime: { name: 'python', version: '3.13' }
      deployment: {
        storage: {
          type: 'blobContainer'
          value: packageUrl
          authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: packageIdentityId }
        }
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMb
        maximumInstanceCount: maximumInstances
        alwaysReady: alwaysReadyInstances > 0 ? [{ name: 'durable', instanceCount: alwaysReadyInstances }] : []
        triggers: { http: { perInstanceConcurrency: httpConcurrency } }
      }
      #disable-next-line BCP037 // documented, missing in the compiler's types (docs/reference/azure.md 6.6)
      siteUpdateStrategy: { type: updateStrategy }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
      remoteDebuggingEnabled: false
    }
  }
}

// A user name and a password would be a second way to deploy, beside Entra.
resource deploymentPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'scm'
  properties: { allow: false }
}

resource ftpPassword 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2025-03-01' = {
  parent: app
  name: 'ftp'
  properties: { allow: false }
}

#disable-next-line use-recent-api-versions // the newest that is deployed everywhere; the rule proposes one from 2016
resource diagnostics 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = if (hostLogs) {
  scope: app
  name: 'linker'
  properties: { workspaceId: workspaceId, logs: [{ category: 'FunctionAppLogs', enabled: true }] }
}

@description('Where the app answers.')
output hostName string = app.properties.defaultHostName
