"""The webhook endpoint: authenticates requests and stores their JSON bodies. Workers parse the stored bodies later."""
