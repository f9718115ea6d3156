// Small and cheap, for trying out: nothing waits, one zone, all logs short.
using 'main.bicep'

param namePrefix = 'linkerdev'
param dataverseUrl = 'https://contoso-dev.crm4.dynamics.com'
param instanceMemoryMb = 512
param maximumInstances = 10
param alwaysReadyInstances = 0
param storageSku = 'Standard_LRS'
param tags = { environment: 'dev' }
param linkerSettings = { LINKER_SETTLE_MINUTES: '2' }
