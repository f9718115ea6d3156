// What `azd up` deploys; the values come from its environment (azd env set NAME VALUE).
using 'main.bicep'

param namePrefix = readEnvironmentVariable('NAME_PREFIX', 'linker')
param location = readEnvironmentVariable('AZURE_LOCATION', 'westeurope')
param dataverseUrl = readEnvironmentVariable('LINKER_DATAVERSE_URL') // no default: a wrong environment is worse than none
param tags = { 'azd-env-name': readEnvironmentVariable('AZURE_ENV_NAME', 'linker') }
