"""What `chromascape doctor` looks at: this machine against what the params need, and what killed processes left."""
