"""The operator: turns an AriProxy into Deployments, level by level; calls don't depend on it."""
