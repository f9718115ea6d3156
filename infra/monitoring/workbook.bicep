// The workbook of the linker in the Azure portal.

@description('Azure region.')
param location string

@description('Tags of every resource.')
param tags object

@description('Workspace that the queries read.')
param workspaceId string

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
    serializedData: loadTextContent('workbook.json')
  }
}
