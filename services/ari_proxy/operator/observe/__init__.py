"""What is there: resources, their children, Secrets and pods."""
