"""Local Functions host: runs `function_app.py` of a folder on one machine, without Azure and without Core Tools.

The registered functions are driven through their decorators' bindings, as the real host drives them. Durable Functions
run on durabletask's in-memory backend, with the real durable client (docs/reference/azure.md 1, 2, 4, 10, 13).
"""
