"""etcd: leases in Go. One server of its own, fresh each time, and load by h2load."""
