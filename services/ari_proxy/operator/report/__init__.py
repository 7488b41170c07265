"""What its owner is told: status, conditions and Kubernetes events. Sans-I/O."""
