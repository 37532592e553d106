"""A load test that posts webhooks over HTTP as Evolution does, then verifies the resulting rows and API responses.

The payloads come from the demo (`conversations.demo`). The expected result comes from an oracle that shares no code
with ingestion.
"""
