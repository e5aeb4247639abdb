"""What there is to choose from: presets, and the published weights some of them use."""
