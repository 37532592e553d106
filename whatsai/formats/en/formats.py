"""Dates and times in English: clocks of 24 hours, and months by name, because 3/11 is two days for two readers.

Django reads these names (https://docs.djangoproject.com/en/5.2/topics/i18n/formatting/); times are in its syntax.
"""

DATE_FORMAT = "j F Y"
TIME_FORMAT = "H:i"
DATETIME_FORMAT = "j M Y, H:i"
SHORT_DATE_FORMAT = "j M Y"
SHORT_DATETIME_FORMAT = "j M Y, H:i"
