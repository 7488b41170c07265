"""The operator: turns each AriProxy into Deployments, level-triggered. Calls don't depend on it."""
