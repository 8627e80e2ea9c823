"""Tariff data: what was notified, where, since when. Data, not code; see README.md."""
