// The options that neither dev nor prod takes.
using '../../infra/main.bicep'

param namePrefix = 'linkertest'
param dataverseUrl = 'https://test.crm4.dynamics.com'
param durableBackend = 'DurableTaskScheduler'
param zoneRedundant = true
param events = 'Namespace'
param storageSku = 'Standard_GZRS'
param linkerSettings = { LINKER_WIDTH: '8', LINKER_POLL_SCHEDULE: '0 */15 * * * *' }
