"""What there is to choose from: presets, and the published weights that some of them use."""
