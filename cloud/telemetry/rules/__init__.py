"""What a reading becomes: quarter-hour, hour, day, month. Pure; the service brings the rows and the repository stores the results.

`context` says which readings decide about an hour, `quarter` makes a device's quarter-hours of them, `site` makes the site's, and
`summary` makes hours, days and months.
"""
