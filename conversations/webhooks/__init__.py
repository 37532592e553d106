"""The webhook endpoint: who posts, for which instance, and is the body JSON. What it means is ingestion's business."""
