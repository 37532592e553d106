"""The inbox of the admin: a list of conversations beside the messages of one of them."""
