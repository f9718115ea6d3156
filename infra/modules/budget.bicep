// A budget of the resource group: mail when the month's cost passes a share of it. It stops nothing.

@description('Name of the budget.')
param name string

@description('Amount a month, in the currency of the subscription.')
param amount int

@description('First day of the month it begins with, such as 2027-01-01. It cannot change later.')
param start string

@description('Addresses to mail to, besides the owners of the resource group.')
param emails string[]

resource budget 'Microsoft.Consumption/budgets@2026-06-01' = {
  name: name
  properties: {
    category: 'Cost'
    amount: amount
    timeGrain: 'Monthly'
    timePeriod: { startDate: start }
    notifications: {
      actual: { enabled: true, operator: 'GreaterThan', threshold: 80, contactEmails: emails, contactRoles: ['Owner'] }
      forecast: {
        enabled: true
        operator: 'GreaterThan'
        threshold: 100
        thresholdType: 'Forecasted'
        contactEmails: emails
        contactRoles: ['Owner']
      }
    }
  }
}
