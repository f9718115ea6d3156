"""What all operations of the Web API share: addresses, messages, errors, payloads, and how rows are rendered."""
