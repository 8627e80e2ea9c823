"""The whole product on one machine: servers, cloud, a simulated home and its agent, as processes on loopback.

The cloud does not import the agent; it starts `solarhub-edge` like anybody would.
"""
