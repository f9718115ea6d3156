// App Service Authentication with Entra ID: who calls, and with which app role. No client secret: the app's identity
// stands for it through a federated credential of the app registration (docs/deploy.md).

@description('Name of the app.')
param appName string

@description('Client id of the app registration.')
param clientId string

@description('Tenant whose users sign in.')
param tenantId string

@description('App setting that holds the client id of the identity that signs for the registration.')
param assertionSetting string

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  name: appName
}

resource authentication 'Microsoft.Web/sites/config@2025-03-01' = {
  parent: app
  name: 'authsettingsV2'
  properties: {
    platform: { enabled: true }
    globalValidation: {
      requireAuthentication: true
      unauthenticatedClientAction: 'RedirectToLoginPage'
      redirectToProvider: 'azureactivedirectory'
      excludedPaths: ['/api/health'] // watched from outside, says only that it runs
    }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          openIdIssuer: '${environment().authentication.loginEndpoint}${tenantId}/v2.0'
          clientId: clientId
          clientSecretSettingName: assertionSetting
        }
        validation: { allowedAudiences: [clientId, 'api://${clientId}'] }
      }
    }
    login: { tokenStore: { enabled: false } } // only who it is matters; their tokens are not kept
    httpSettings: { requireHttps: true }
  }
}
