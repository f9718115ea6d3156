"""What a request passes before an API answers: local callers only, tokens, service protection, and connections that reset."""
