"""The agent on the site: reads devices, keeps every reading, watches alert rules, shows a page, syncs to the cloud."""
