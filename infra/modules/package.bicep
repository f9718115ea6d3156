// Puts a published package into the app, for deployments without a checkout: the button "Deploy to Azure".

@description('Name of the app.')
param appName string

@description('Address of the package, which anyone may read: `make package` makes it, a release publishes it.')
param packageUrl string

resource app 'Microsoft.Web/sites@2025-03-01' existing = {
  name: appName
}

resource deployment 'Microsoft.Web/sites/extensions@2025-03-01' = {
  parent: app
  name: 'onedeploy'
  #disable-next-line BCP187 // documented for Flex Consumption, missing in the compiler's types
  properties: { packageUri: packageUrl, remoteBuild: false } // the package brings its Python packages along
}
