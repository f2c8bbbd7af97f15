"""What comes over the network, on request: vendors' raw answers, and lakes from object storage."""
