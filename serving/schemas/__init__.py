"""What each resource takes and answers: one module per module of `serving.routes`, for OpenAPI and for the JSON sent.

The classes document; no request is parsed or validated with them, which keeps the hot path fast. Tests check every real
answer against its class. Independent of the rest of `serving`.
"""
