"""What is seen of the app: Qt's widgets over the model, and its clicks turned into calls on it."""
