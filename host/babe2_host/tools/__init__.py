"""What the smaller commands do: evaluation, degradation, pages and pictures, EQ export, weights."""
