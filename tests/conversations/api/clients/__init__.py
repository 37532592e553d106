"""Clients of the API that are generated from the OpenAPI schema, compiled, and used."""
