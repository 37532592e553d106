"""A load as Evolution makes it, posted over HTTP, and a judgement of what has become of it.

The words come from the demo (`conversations.demo`); the judgement from an oracle that knows nothing of ingestion.
"""
