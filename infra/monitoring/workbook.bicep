// The workbook of the linker in the Azure portal.

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Name of the workspace that the queries read.')
param workspaceName string

// Not an output of the workspace: this way what-if and the snapshots show the whole workbook.
var workspaceId = resourceId('Microsoft.OperationalInsights/workspaces', workspaceName)

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'customer-profile-linker')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Customer Profile Linker'
    category: 'workbook'
    sourceId: workspaceId
    version: 'Notebook/1.0'
    serializedData: replace(loadTextContent('workbook.json'), 'Azure Monitor', workspaceId) // fallbackResourceIds
  }
}
