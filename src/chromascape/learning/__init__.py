"""Learning: from Lab shards to trained weights."""
