"""Reads the cluster: resources, their children, pods and the keys of Secrets."""
