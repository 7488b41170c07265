"""Which commands a client may send: policy, owners, and the objects a request names."""
