"""A load test that posts webhooks over HTTP as the Evolution API does, then verifies the database and the REST API.

The payloads come from the demo (`conversations.demo`). An oracle, which shares no code with ingestion, computes the
expected rows and API responses.
"""
