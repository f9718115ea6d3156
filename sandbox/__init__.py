"""A local Dynamics 365: Dataverse Web API, Customer Insights API, managed identity endpoint and Functions host."""
