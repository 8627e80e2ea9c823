"""From a gateway's batch to raw rows, the newest-values snapshot, the batch ledger and dirty buckets, in one transaction."""
