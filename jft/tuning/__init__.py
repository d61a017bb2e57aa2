"""What is trained: pure rules over parameter names."""
