"""What an installer does on the roof: read a device once, find devices, judge what they say, draft a plan."""
