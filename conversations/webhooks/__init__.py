"""The webhook endpoint: authenticates requests, decodes their JSON and stores it. Workers interpret it later."""
