"""What is to be done about it. Sans-I/O."""
