"""Examines a deployment, and says in plain words what is wrong with it (`manage.py doctor`)."""
