"""Where tritonserver comes from, what it needs around it, and what it says when it fails."""
