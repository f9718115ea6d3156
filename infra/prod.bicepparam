// For a tenant in use: events, authentication with roles, private storage, mail when something needs a person.
using 'main.bicep'

param namePrefix = 'linkerprod'
param dataverseUrl = 'https://contoso.crm4.dynamics.com'
param insightsUrl = 'https://api.ci.ai.dynamics.com/v1'
param insightsInstanceId = '00000000-0000-0000-0000-000000000001' // Settings > System > About in Customer Insights - Data
param insightsKeyInVault = true
param events = 'Listening' // 'Namespace' first: docs/deploy.md
param authClientId = '00000000-0000-0000-0000-000000000002' // the app registration
param privateNetwork = true
param updateStrategy = 'RollingUpdate'
param logRetentionDays = 90
param logDailyCapGb = 5
param alertEmails = ['crm-operations@contoso.com']
param tags = { environment: 'prod' }
