"""Photos: from a folder of files to Lab shards on disk."""
