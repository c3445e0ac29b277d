package atomicfile

// SyncDir has nothing to do: Windows keeps names without being asked.
func (d *Disk) SyncDir(name string) error { return d.step("sync", name) }
