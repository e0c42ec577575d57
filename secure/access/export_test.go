package access

// Hashed returns how many hashes were computed.
func (g *Gate) Hashed() uint64 { return g.hasher.computed.Load() }
