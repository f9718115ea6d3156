// The one identity of the app. Assigned by the user, so that roles can be given before the app exists (docs/reference/azure.md 9.3).

@description('Name of the identity.')
param name string

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

@description('Resource id of the identity.')
output id string = identity.id

@description('Client id: what the app signs in with.')
output clientId string = identity.properties.clientId

@description('Object id of its service principal: what roles are given to.')
output principalId string = identity.properties.principalId
