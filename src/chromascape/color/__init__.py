"""Color: formulas on arrays, and nothing else."""
