"""The home page of the admin: what needs somebody now, current alarms, and plots of the last hour or day."""
