"""What crosses the wire between the edge agent and the cloud, and the rules that both sides run.

Pure: pydantic and the standard library, no I/O, no clock, no logging.
"""
